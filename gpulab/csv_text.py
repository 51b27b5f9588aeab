"""Tables that people open in a spreadsheet."""

import csv
import io
from collections.abc import Iterable, Sequence

BYTE_ORDER_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"
"""Without it, spreadsheets read UTF-8 as an older encoding and break every name beyond ASCII."""
SIGNS_OF_FORMULAS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""The wide ones count in spreadsheets of East Asia."""
BEGINS_A_FORMULA = (*SIGNS_OF_FORMULAS, "\t", "\r", "\n")


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """The table as a spreadsheet takes it: marked as UTF-8 where that matters, and no text that runs as a formula."""
    written = io.StringIO(newline="")
    csv.writer(written).writerows([defused(cell) for cell in row] for row in rows)
    text = written.getvalue()
    # Programs that do not expect the mark read a table in ASCII as they always did.
    return text if text.isascii() else BYTE_ORDER_MARK + text


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
