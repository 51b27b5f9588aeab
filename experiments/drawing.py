"""Words of users in images: drawn letter by letter, whatever they are."""

from experiments.hosting.wire import clean_text

MAX_LABEL_CHARACTERS = 40
MAX_TITLE_CHARACTERS = 200


def plain(text: str, *, max_characters: int = MAX_LABEL_CHARACTERS) -> str:
    """On one line, at a bounded length, and without a meaning for matplotlib, which reads formulas between dollars."""
    visible = "".join(sign if sign.isprintable() else " " for sign in clean_text(text))
    shown = " ".join(visible.split())
    if len(shown) > max_characters:
        shown = f"{shown[: max_characters - 1]}…"
    # A label with an underscore in front would be left out of the legend.
    return f" {shown}".replace("$", r"\$") if shown.startswith("_") else shown.replace("$", r"\$")


def plain_title(text: str) -> str:
    """As `plain`, with room for a sentence."""
    return plain(text, max_characters=MAX_TITLE_CHARACTERS)
