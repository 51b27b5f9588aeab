"""Text of a documentation page between two markers, `<!-- NAME: begin -->` and `<!-- NAME: end -->`."""

from collections.abc import Sequence


def between(page: str, name: str, lines: Sequence[str]) -> str:
    """The page with these lines between the markers. Raises `ValueError` where it lacks them."""
    begin, end = (f"<!-- {name}: {word} -->" for word in ("begin", "end"))
    before, found, rest = page.partition(begin)
    _, found_end, after = rest.partition(end)
    if not (found and found_end):
        raise ValueError(f"the page needs the lines {begin} and {end}")
    return before + "\n".join([begin, "", *lines, "", end]) + after
