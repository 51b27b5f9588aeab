"""Tables that people open in a spreadsheet."""

import csv
import io
from collections.abc import Iterable, Sequence

BYTE_ORDER_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"
"""Without it, spreadsheets read UTF-8 as an older encoding and break every name beyond ASCII."""
BEGINS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """The table as a spreadsheet takes it: UTF-8 with its mark, and no text that would be run as a formula."""
    written = io.StringIO(newline="")
    csv.writer(written).writerows([defused(cell) for cell in row] for row in rows)
    return BYTE_ORDER_MARK + written.getvalue()


def defused(cell: object) -> object:
    """Text that a spreadsheet would run gets an apostrophe before it; a number, also one written out, stays."""
    if not isinstance(cell, str) or not cell.startswith(BEGINS_A_FORMULA) or _is_number(cell):
        return cell
    return f"'{cell}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.isascii() and text == text.strip()
