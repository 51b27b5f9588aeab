"""Tables for spreadsheets."""

import csv
import io

import pytest

from gpulab.csv_text import csv_text


@pytest.mark.parametrize(
    "cell",
    [
        "=1+1",
        "@SUM(A1)",
        "+cmd|' /C calc'!A0",
        "-2+3",
        "\tx",
        "\r=1",
        "-",
        "=HYPERLINK(1)",
        "\n=1",
        "\N{FULLWIDTH EQUALS SIGN}1+1",
    ],
)
def test_text_that_a_spreadsheet_would_run_is_only_text(cell: str) -> None:
    [[found]] = csv.reader(io.StringIO(csv_text([[cell]]).removeprefix("\ufeff"), newline=""))
    assert found == f"'{cell}"


@pytest.mark.parametrize("cell", [-1.5, -3, "-1.5", "+2e-3", "1-1", "a=b", "", None, "-inf"])
def test_numbers_and_other_text_stay(cell: object) -> None:
    assert next(csv.reader(io.StringIO(csv_text([[cell, "x"]]), newline="")))[0] == ("" if cell is None else str(cell))


def test_mark_of_utf_8_stands_before_letters_beyond_ascii() -> None:
    assert csv_text([["Zoë", 1]]) == "\ufeffZoë,1\r\n"
    assert csv_text([["Zoe", 1]]) == "Zoe,1\r\n"
