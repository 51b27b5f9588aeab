"""`gpulab top`: what the frame says at every width, and the screen in a terminal."""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

import gpulab
from gpulab.cli import main
from gpulab.cli.live.bars import bar
from gpulab.cli.live.frame import lines
from gpulab.cli.live.keys import named
from gpulab.cli.live.overview import Looker
from tests.unit.gpulab.crowd import fill, gpu, node
from tests.unit.gpulab.stub_lab import TOKEN, StubLab, problem
from tests.unit.gpulab.terminal import Terminal


def shown(stub: StubLab, width: int) -> list[str]:
    with gpulab.Client("http://lab", TOKEN, transport=httpx.MockTransport(stub.handle)) as client:
        return [line.plain for line in lines(Looker(client).look(), width)]


@pytest.fixture
def crowd(stub: StubLab) -> StubLab:
    fill(stub)
    return stub


@pytest.fixture
def environment(crowd: StubLab) -> Iterator[dict[str, str]]:
    with crowd.serve() as url:
        yield {"GPULAB_URL": url, "GPULAB_TOKEN": TOKEN}


@pytest.mark.parametrize("width", [24, 32, 40, 59, 60, 80, 103, 104, 130, 200])
def test_no_line_is_wider_than_the_terminal(crowd: StubLab, width: int) -> None:
    found = shown(crowd, width)
    assert [line for line in found if len(line) > width] == []
    text = "\n".join(found)
    for fact in ("Test Acc", "37%", "250 W", "41 °C", "GPU is lost", "42%", "2 slots"):
        assert fact in text, f"at {width} cells there is no {fact}"


def test_wide_row_has_used_reserved_total_and_load(crowd: StubLab) -> None:
    (row,) = [line for line in shown(crowd, 120) if line.startswith("   0 ")]
    assert re.findall(r"[\d.]+ +[\d.]+ +[\d.]+ GiB", row) == ["12.0     60.0  80.0 GiB"]
    assert "▒" in row
    assert row.endswith("37%  250 W 41 °C")


def test_what_was_not_measured_is_a_question_mark_and_never_zero(crowd: StubLab) -> None:
    (row,) = [line for line in shown(crowd, 120) if line.startswith("   3 ")]
    assert row.count("?") > 10
    assert row.split()[-4:] == ["?", "W", "?", "°C"]
    assert "0%" not in row


def test_jobs_stand_below_their_gpu_and_slots_below_the_node(crowd: StubLab) -> None:
    found = [
        line for line in shown(crowd, 120) if "└" in line or line.startswith(("   0 ", "   1 ", "   2 ", "   cpu"))
    ]
    words = ["first", "grace", "batch-size", "on-cpu"]
    order = [next((word for word in words if word in line), line.split()[0]) for line in found]
    assert order == ["0", "first", "grace", "1", "batch-size", "2", "cpu", "on-cpu", "cpu"]


def test_queue_is_in_order_of_its_places_with_reasons(crowd: StubLab) -> None:
    found = [line for line in shown(crowd, 120) if "waits-" in line]
    assert [line.split()[0] for line in found] == ["1.", "2.", "3."]
    assert all("All slots are taken." in line for line in found)


def test_reason_that_does_not_fit_beside_its_job_has_the_next_line(stub: StubLab) -> None:
    stub.add(name="a name that leaves little room")
    found = shown(stub, 60)
    at = next(at for at, line in enumerate(found) if "a name that leaves" in line)
    assert "All slots" not in found[at]
    assert found[at + 1].strip() == "All slots are taken."


def test_long_reason_goes_on_below_itself(stub: StubLab) -> None:
    stub.add()
    stub.explanation = "every GPU that could run it is taken"
    assert [line.strip() for line in shown(stub, 30)][-2:] == ["every GPU that could run", "it is taken"]


def test_model_stands_without_its_maker(stub: StubLab) -> None:
    stub.nodes = [node("gpu-a", gpu(0, name="NVIDIA GeForce RTX 4090"))]
    for width in (50, 80, 120):
        assert any("0 GeForce RTX 4090" in line for line in shown(stub, width))


def test_name_comes_before_the_experiment_as_the_end_is_cut_off(crowd: StubLab) -> None:
    assert any("first (train)" in line for line in shown(crowd, 120))


def test_job_of_a_gpu_that_is_gone_is_still_listed(stub: StubLab) -> None:
    stub.nodes = [node("gpu-a", gpu(0))]
    stub.add(state="running", node="old", gpu_uuids=["GPU-9"], experiment="left-behind")
    found = shown(stub, 100)
    assert found.index("elsewhere") + 1 == next(at for at, line in enumerate(found) if "left-behind" in line)


def test_job_on_two_gpus_is_told_once_in_full(stub: StubLab) -> None:
    stub.nodes = [node("gpu-a", gpu(0), gpu(1))]
    stub.add(state="running", node="gpu-a", gpu_uuids=["GPU-0", "GPU-1"], experiment="on-both")
    found = [line.strip() for line in shown(stub, 100) if "└" in line]
    assert ["on-both" in line for line in found] == [True, False]
    assert found[1].endswith("as well")


def test_student_sees_that_others_hold_a_gpu(stub: StubLab) -> None:
    stub.nodes = [node("gpu-a", gpu(0, reserved_gib=10))]
    assert any("jobs of other users" in line for line in shown(stub, 80))
    stub.role = "admin"
    assert not any("jobs of other users" in line for line in shown(stub, 80))


def test_bar_draws_something_for_little_and_leaves_room_for_what_is_free() -> None:
    assert bar(10, 0.0).plain == "·" * 10
    assert bar(10, 0.001).plain == "▏" + "·" * 9
    assert bar(10, 0.25, reserved=0.5).plain == "██▌▒▒" + "·" * 5
    assert bar(10, 1.5, reserved=0.5).plain == "█" * 10
    assert bar(10, None, reserved=0.2).plain == "▒▒" + "?" * 8


def test_keys_are_told_apart_also_when_they_come_together() -> None:
    assert named("\x1b[Aq\x1b[6~\x1bOB x") == ["up", "quit", "page down", "down", "page down"]
    assert named("\x1b[1;5Cz") == []


def test_unchanged_answers_are_not_sent_again(stub: StubLab) -> None:
    """A second look carries the tags of the first."""
    fill(stub)
    asked: list[str | None] = []

    def tagged(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers.get("if-none-match"))
        answer = stub.handle(request)
        if asked[-1] is not None:
            return httpx.Response(304)
        return httpx.Response(answer.status_code, content=answer.content, headers={"ETag": '"1"'})

    with gpulab.Client("http://lab", TOKEN, transport=httpx.MockTransport(tagged)) as client:
        looker = Looker(client)
        first, second = looker.look(), looker.look()
    half = len(asked) // 2
    assert asked == [None] * half + ['"1"'] * half
    assert first.model_dump(exclude={"at"}) == second.model_dump(exclude={"at"})


def test_once_prints_a_frame_and_json_everything(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["top", "--once"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "4 running, 3 waiting" in out.splitlines()[0]
    assert main(["top", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [len(told[name]) for name in ("nodes", "running", "waiting")] == [2, 4, 3]
    assert told["waiting"][0]["queue"]["position"] == 1


def test_screen_follows_the_lab_and_q_leaves_the_terminal_as_it_was(
    crowd: StubLab, environment: dict[str, str]
) -> None:
    with Terminal("top", "--interval", 0.2, columns=110, lines=40, environment=environment) as terminal:
        terminal.wait_for(lambda text: "4 running, 3 waiting" in text and text.rstrip().endswith("scroll"))
        crowd.add(state="running", node="gpu-a", gpu_uuids=["GPU-2"], experiment="newcomer")
        terminal.wait_for("newcomer")
        terminal.type("q")
        assert terminal.wait() == 0
        assert terminal.is_as_before()
        assert terminal.raw.rpartition(b"\x1b[?1049h")[2].endswith(b"\x1b[?25h\x1b[?1049l")


def test_screen_fits_a_terminal_that_shrinks_and_scrolls(environment: dict[str, str]) -> None:
    with Terminal("top", columns=120, lines=40, environment=environment) as terminal:
        terminal.wait_for("USED RESERVED")
        terminal.resize(40, 12)
        text = terminal.wait_for("more lines below")
        assert "USED RESERVED" not in text
        assert text.splitlines()[0].startswith("gpulab")
        assert "waits-3" not in text
        terminal.type("G")
        assert "waits-3" in terminal.wait_for(lambda text: "below" not in text and "waits-3" in text)
        terminal.type("g")
        terminal.wait_for("gpu-a")
        terminal.type("q")
        assert terminal.wait() == 0


def test_screen_survives_a_lab_that_goes_away_and_comes_back(crowd: StubLab) -> None:
    with ExitStack() as stack:
        with crowd.serve() as url:
            environment = {"GPULAB_URL": url, "GPULAB_TOKEN": TOKEN}
            arguments = ("top", "--interval", 0.2)
            terminal = stack.enter_context(Terminal(*arguments, columns=100, lines=40, environment=environment))
            terminal.wait_for("3 waiting")
        text = terminal.wait_for(lambda text: "not answering" in text and "trying again" in text)
        assert "waits-1" in text, "the last frame stays"
        crowd.add(state="running", node="gpu-a", experiment="after-the-pause")
        with crowd.serve(port=httpx.URL(url).port or 0):
            text = terminal.wait_for("after-the-pause")
            assert "not answering" not in text
            terminal.type("q")
            assert terminal.wait() == 0


def test_token_that_ends_while_looking_ends_the_screen_with_the_reason(
    crowd: StubLab, environment: dict[str, str]
) -> None:
    with Terminal("top", "--interval", 0.2, environment=environment) as terminal:
        terminal.wait_for("3 waiting")
        crowd.faults.append(lambda _: problem(401, "unauthenticated", "this token has expired"))
        assert terminal.wait() == 3
        terminal.wait_for("this token has expired")
        assert terminal.is_as_before()


def test_interrupt_leaves_with_130_and_the_terminal_whole(environment: dict[str, str]) -> None:
    with Terminal("top", environment=environment) as terminal:
        terminal.wait_for("3 waiting")
        terminal.type("\x03")
        assert terminal.wait() == 130
        assert terminal.is_as_before()


def test_no_lab_at_all_is_one_line_and_exit_4(crowd: StubLab, capsys: pytest.CaptureFixture[str]) -> None:
    with crowd.serve() as url:
        pass
    assert main(["top", "--once", "--url", url]) == 4
    assert "no lab answers" in capsys.readouterr().err
