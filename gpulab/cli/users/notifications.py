"""`gpulab notifications`."""

import getpass
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gpulab.cli.session import Session, print_json, session_command, with_session
from gpulab.states import Channel, NotificationKind

if TYPE_CHECKING:
    from gpulab.schemas.notifications import ChannelRead, NotificationsRead

app = typer.Typer(help="Messages by mail and webhook about your runs and deadlines.")

To = Annotated[Channel, typer.Argument(metavar="mail|webhook", help="How it is sent.", show_default=False)]


def notifications(session: Session, context: typer.Context) -> None:
    """Show which messages you get by mail and webhook."""
    if context.invoked_subcommand is None:
        _print(session, session.client.notifications.get())


app.callback(invoke_without_command=True)(with_session(notifications))


@session_command(app, "set")
def set_kinds(
    session: Session,
    channel: To,
    kinds: Annotated[list[NotificationKind], typer.Argument(metavar="ended|failed|waiting|deadline...")],
    url_file: Annotated[
        Path | None, typer.Option(help="File with the webhook's address; - reads it from standard input.")
    ] = None,
    time_zone: Annotated[str | None, typer.Option(help="In which messages name times, such as Europe/Berlin.")] = None,
) -> None:
    """Choose what is sent: runs that ended or failed, what waits for you, and deadlines within a day.

    The address of a webhook is a secret. Without --url-file the command asks for it the first time.
    """
    client = session.client.notifications
    url = _url(session, channel, url_file)
    _print(session, client.set(channel, kinds, webhook_url=url, time_zone=time_zone))


@session_command(app)
def off(session: Session, channel: To) -> None:
    """Send nothing more on this way, and forget the address."""
    _print(session, session.client.notifications.set(channel, []))


@session_command(app)
def test(session: Session, channel: To) -> None:
    """Send yourself a test message; it comes within a minute."""
    _print(session, session.client.notifications.test(channel))


def _url(session: Session, channel: Channel, file: Path | None) -> str | None:
    if file is not None:
        text = sys.stdin.readline() if str(file) == "-" else file.read_text(encoding="utf-8")
        return text.strip()
    if channel is Channel.WEBHOOK and session.client.notifications.get().webhook.address is None:
        return getpass.getpass("Address of the webhook: ").strip()
    return None


def _print(session: Session, found: "NotificationsRead") -> None:
    from gpulab.cli.tables import print_facts

    if session.as_json:
        print_json(found)
        return
    print_facts(
        [
            ("mail", _words(found.mail)),
            *_troubles("mail", found.mail),
            ("webhook", _words(found.webhook)),
            *_troubles("webhook", found.webhook),
            ("time zone", found.time_zone),
        ]
    )


def _words(channel: "ChannelRead") -> str:
    if not channel.kinds:
        return "off" if channel.unavailable is None else f"off: {channel.unavailable}"
    return f"{', '.join(channel.kinds)} to {channel.address}"


def _troubles(name: str, channel: "ChannelRead") -> list[tuple[str, str]]:
    from gpulab.cli.tables import ago

    facts = []
    if channel.last_error is not None and channel.last_error_at is not None:
        facts.append((f"{name} failed", f"{ago(channel.last_error_at)} ago: {channel.last_error}"))
    if channel.waiting:
        facts.append((f"{name} waiting", str(channel.waiting)))
    if channel.given_up:
        facts.append((f"{name} not delivered", str(channel.given_up)))
    return facts
