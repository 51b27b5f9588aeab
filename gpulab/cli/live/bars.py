"""Bars of text that are read without colour too: full blocks are used, shaded ones reserved, dots free."""

from rich.text import Text

EIGHTHS = " ▏▎▍▌▋▊▉█"
RESERVED = "▒"
FREE = "·"


def bar(cells: int, share: float | None, *, reserved: float = 0.0, style: str = "green") -> Text:
    """`share` and `reserved` are parts of the whole, 0 to 1; None is a bar of question marks: it was not measured."""
    held = round(_within(reserved) * cells)
    if share is None:
        return Text.assemble((RESERVED * held, "cyan"), ("?" * (cells - held), "dim"))
    full, rest = divmod(round(_within(share) * cells * 8), 8)
    # Something is never drawn as nothing.
    tip = EIGHTHS[max(rest, int(share > 0 and not full))] if full < cells and (rest or (share > 0 and not full)) else ""
    used = "█" * full + tip
    more = max(held - len(used), 0)
    return Text.assemble((used, style), (RESERVED * more, "cyan"), (FREE * (cells - len(used) - more), "dim"))


def load_style(share: float | None) -> str:
    """Green, yellow from three fifths, red from nine tenths."""
    if share is None:
        return "dim"
    return "red" if share >= 0.9 else "yellow" if share >= 0.6 else "green"


def _within(share: float) -> float:
    return min(max(share, 0.0), 1.0)
