"""Words for people, where a number decides about them."""


def counted(count: int, thing: str) -> str:
    """`1 run`, `2 runs`, `1,000 more lines`."""
    return f"{count:,} {thing}{'s' * (count != 1)}"


def sentence(text: str) -> str:
    """With a capital letter and a full stop."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
