"""`gpulab top`: GPUs, jobs and queue on one screen, live."""

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from gpulab.cli.session import RETRY_SECONDS, Session, print_json, session_command
from gpulab.words import counted

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

    from gpulab.cli.live.keys import ReadKeys
    from gpulab.cli.live.overview import Feed, Overview

app = typer.Typer()

GLANCE_SECONDS = 0.2
"""How soon a resized terminal or a new answer is drawn."""
REDRAW_SECONDS = 1.0
"""How often ages are drawn anew without news."""
HELP = "q quit  ↑↓ scroll"


@session_command(app)
def top(
    session: Session,
    interval: Annotated[float, typer.Option(min=0.2, max=3600, help="Seconds between updates.")] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Print the screen once and exit.")] = False,
) -> None:
    """Show GPUs, running jobs and the queue, live. Press q to quit. Without a terminal, prints one frame."""
    from gpulab.cli.live.overview import Feed, Looker
    from gpulab.cli.tables import console

    looker = Looker(session.client)
    first = looker.look(patience_seconds=RETRY_SECONDS)
    out = console()
    if session.as_json:
        print_json(first)
    elif once or not out.is_terminal:
        _print_frame(out, first)
    else:
        with Feed(looker, first, interval) as feed:
            _show(out, feed)


def _print_frame(out: "Console", seen: "Overview") -> None:
    from gpulab.cli.live.frame import head, lines

    for line in [head(seen, out.width, seen.at, None), *lines(seen, out.width)]:
        out.print(line, no_wrap=True, crop=True, overflow="crop")


def _show(out: "Console", feed: "Feed") -> None:
    from rich.live import Live

    from gpulab.cli.live.keys import keyboard

    with keyboard() as read_keys, Live(console=out, screen=True, auto_refresh=False) as live:
        _draw_until_quit(live, read_keys, feed)
    if feed.refused is not None:
        raise feed.refused


def _draw_until_quit(live: "Live", read_keys: "ReadKeys", feed: "Feed") -> None:
    view = View()
    drawn: object = None
    drawn_at = 0.0
    while feed.refused is None:
        looks = (feed.latest, feed.trouble, live.console.size, view.first_line)
        if looks != drawn or time.monotonic() - drawn_at >= REDRAW_SECONDS:
            live.update(view.render(feed, *live.console.size), refresh=True)
            drawn, drawn_at = looks, time.monotonic()
        for key in read_keys(GLANCE_SECONDS):
            if key == "quit":
                return
            view.press(key)


class View:
    """The part of the lines that the screen shows."""

    def __init__(self) -> None:
        self.first_line = 0
        self._page = 1

    def press(self, key: str) -> None:
        step = {"up": -1, "down": 1, "page up": -self._page, "page down": self._page}.get(key, 0)
        self.first_line = {"home": 0, "end": 10**9}.get(key, max(self.first_line + step, 0))

    def render(self, feed: "Feed", width: int, height: int) -> "RenderableType":
        from rich.text import Text

        from gpulab.cli.live.frame import head, lines
        from gpulab.cli.live.rows import clipped

        seen, trouble = feed.latest, feed.trouble
        body = lines(seen, width)
        self._page = max(height - 2, 1)
        self.first_line = min(self.first_line, max(len(body) - self._page, 0))
        shown = body[self.first_line : self.first_line + self._page]
        rest = len(body) - self.first_line - len(shown)
        foot = HELP + (f"  {counted(rest, 'more line')} below" if rest else "")
        foot = f"{trouble}; trying again  q quit" if trouble is not None else foot
        blank = [Text()] * (self._page - len(shown))
        now = datetime.now(UTC)
        return Text("\n", no_wrap=True, overflow="crop").join(
            [head(seen, width, now, trouble), *shown, *blank, clipped(Text(foot, style="dim"), width)]
        )
