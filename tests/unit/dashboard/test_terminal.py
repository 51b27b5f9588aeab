"""The output of a run as the dashboard shows it: as a terminal would, and without holding up the page."""

from tests.unit.dashboard.scripts import run_module

ESC = "\x1b"
SHOWN = "return given.map((text) => module.shownLines([{ text }]));"
MAX_MILLISECONDS = 3000
"""A quadratic expression took over a minute."""


def test_codes_of_a_terminal_are_not_shown() -> None:
    given = {
        f"{ESC}[?25l{ESC}[1;38;5;196mred{ESC}[0m": "red",
        f"{ESC}[38:2::1:2:3mtrue colour{ESC}[m": "true colour",
        f"{ESC}(B{ESC}7plain{ESC}8": "plain",
        f"see {ESC}]8;;https://example.org{ESC}\\the page{ESC}]8;;\x07.": "see the page.",
        f"{ESC}]0;a title\x07after": "after",
        f"{ESC}P1$r0m{ESC}\\dcs": "dcs",
        "\x9b31mc1\x9b0m": "c1",
        "bell\x07 and null\x00": "bell and null",
        "tab\tand ünïcode 🙂": "tab\tand ünïcode 🙂",
        f"cut off{ESC}[3": "cut off",
    }
    assert run_module("pages/job/terminal.ts", SHOWN, list(given)) == [[shown] for shown in given.values()]


def test_a_line_written_over_shows_its_last_state() -> None:
    given = {
        " 10%|#    |\r 50%|###  |\r100%|#####|\n": ["100%|#####|"],
        "longer than\rshort\n": ["shortr than"],
        f"longer than\r{ESC}[Kshort\n": ["short"],
        "windows\r\nlines\r\n": ["windows", "lines"],
        "abc\b\bX": ["aXc"],
        "still running\r": ["still running"],
        "a\n\nb": ["a", "", "b"],
    }
    assert run_module("pages/job/terminal.ts", SHOWN, list(given)) == list(given.values())


def test_lines_and_codes_may_be_split_between_pieces() -> None:
    body = "return module.shownLines(given.map((text) => ({ text })));"
    pieces = ["one\ntw", f"o {ESC}[3", f"1mred{ESC}", "[0m\nthree"]
    assert run_module("pages/job/terminal.ts", body, pieces) == ["one", "two red", "three"]


def test_an_unended_string_hides_no_later_line() -> None:
    assert run_module("pages/job/terminal.ts", SHOWN, [f"{ESC}]0;never ended\nseen\n"]) == [["", "seen"]]


def test_a_line_of_a_megabyte_takes_no_more_than_linear_time() -> None:
    body = """
        return given.map((unit) => {
            const line = unit.repeat(2 ** 20 / unit.length);
            const began = performance.now();
            module.shownLine(line);
            return performance.now() - began;
        });
    """
    units = ["x", ESC, f"{ESC}[", f"{ESC}]", f"{ESC}[1;", "\r", "ab\r", "\x9d", f"{ESC}[31mr{ESC}[0m"]
    assert max(run_module("pages/job/terminal.ts", body, units)) < MAX_MILLISECONDS
