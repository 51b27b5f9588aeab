"""What another person's run printed, on one's own terminal."""

import time

import pytest

from gpulab.cli.jobs.harmless import RESET, HarmlessText
from tests.unit.gpulab.stub_lab import TOKEN, StubLab
from tests.unit.gpulab.terminal import Terminal

ESC = "\x1b"
CLIPBOARD = f"{ESC}]52;c;cm0gLXJm\x07"


def shown(*pieces: str) -> str:
    harmless = HarmlessText()
    return "".join(map(harmless.feed, pieces)) + harmless.end()


@pytest.mark.parametrize(
    "dangerous",
    [
        CLIPBOARD,
        f"{ESC}]0;a title{ESC}\\",
        "\x9d0;a title\x9c",
        f"{ESC}]8;;file:///etc/passwd{ESC}\\{ESC}]8;;{ESC}\\",
        f"{ESC}[2J{ESC}[1;1H{ESC}[?1049h",
        "\x9b2J",
        f"{ESC}[>4;2m",
        f"{ESC}P+q544e{ESC}\\",
        f"{ESC}_application{ESC}\\{ESC}^privacy{ESC}\\{ESC}Xstring{ESC}\\",
        f"{ESC}c{ESC}(0{ESC}7{ESC}8{ESC}#8",
        f"{ESC}[6n{ESC}[c",
        "\x00\x05\x07\x0e\x7f\x85",
    ],
)
def test_only_text_and_its_colours_come_through(dangerous: str) -> None:
    assert shown(f"before {dangerous}after\n") == "before after\n"
    assert shown(*f"before {dangerous}after\n") == "before after\n", "split at every character"


def test_colours_progress_and_layout_are_kept_and_the_colours_end() -> None:
    text = f"{ESC}[1;38;5;196mred{ESC}[m\tof 10\r 20\bünïcode 🙂\n"
    assert shown(text) == text + RESET
    assert shown("plain\n") == "plain\n"


def test_a_string_that_is_not_ended_hides_no_later_line() -> None:
    assert shown(f"{ESC}]0;never", " ended\nseen\n") == "\nseen\n"
    assert shown(f"x{ESC}", "\ny") == "x\ny"


@pytest.mark.parametrize("unit", ["x", ESC, f"{ESC}[", f"{ESC}]", f"{ESC}[1;", "\x9d"])
def test_a_megabyte_takes_linear_time(unit: str) -> None:
    began = time.process_time()
    shown(unit * (2**20 // len(unit)))
    assert time.process_time() - began < 3


def test_a_terminal_is_left_alone_unless_raw_is_asked_for(stub: StubLab) -> None:
    job = stub.add(state="succeeded")
    stub.log = f"first {CLIPBOARD}{ESC}[31mred\n"
    with stub.serve() as url:
        environment = {"GPULAB_URL": url, "GPULAB_TOKEN": TOKEN}
        with Terminal("logs", job.id, environment=environment) as terminal:
            assert terminal.wait() == 0
            assert CLIPBOARD.encode() not in terminal.raw
            assert f"first {ESC}[31mred".encode() in terminal.raw
        with Terminal("logs", "--raw", job.id, environment=environment) as terminal:
            assert terminal.wait() == 0
            assert CLIPBOARD.encode() in terminal.raw
