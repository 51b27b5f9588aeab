"""Each prediction has its own process: forked from a fresh one, or started beside one that is not fresh."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from select import select

import pytest

from emulator import BuildError
from experiments.memory import processes
from experiments.memory.processes import Child, NotPredictedError, StepsRefusedError, call, can_fork, each


@pytest.fixture
def forkable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(processes._state, "forkable", True)


def pid_after(parent: int) -> tuple[int, int]:
    return parent, os.getpid()


def refuse(words: str) -> None:
    raise ValueError(words)


def break_down() -> None:
    raise RuntimeError("first line\nsecond line")


def refuse_the_step(words: str) -> None:
    raise StepsRefusedError(words)


def through_another(words: str) -> None:
    Child(refuse_the_step, words).result()


def die() -> None:
    os._exit(9)


def answer_what_cannot_be_sent() -> Callable[[], None]:
    return lambda: None


def refuse_or_wait(place: int) -> None:
    if place == 0:
        raise ValueError("the first")
    signal.pause()


def test_children_answer_in_order_and_few_at_a_time() -> None:
    found = list(each(pid_after, [(number,) for number in range(5)], max_parallel=2))
    assert [number for number, _ in found] == list(range(5))
    assert len({pid for _, pid in found} | {os.getpid()}) == 6


def wait_for_the_last(place: int, reading: int, writing: int) -> int:
    if place == 0:
        os.read(reading, 1)
    elif place == 2:
        os.write(writing, b"x")
    return place


def test_a_slow_child_keeps_no_other_from_starting() -> None:
    reading, writing = os.pipe()
    assert list(each(wait_for_the_last, [(place, reading, writing) for place in range(3)], max_parallel=2)) == [0, 1, 2]
    os.close(reading)
    os.close(writing)


def test_child_that_refuses_fails_or_dies_says_so() -> None:
    with pytest.raises(ValueError, match="batch_size: too small"):
        Child(refuse, "batch_size: too small").result()
    with pytest.raises(NotPredictedError, match=r"^RuntimeError: first line$"):
        Child(break_down).result()
    with pytest.raises(NotPredictedError, match="died"):
        Child(die).result()
    with pytest.raises(StepsRefusedError, match=r"^no kernel$"):
        Child(through_another, "no kernel").result()


def test_child_whose_answer_cannot_be_sent_does_not_go_on_as_its_parent() -> None:
    parent = os.getpid()
    with pytest.raises(NotPredictedError, match="died"):
        Child(answer_what_cannot_be_sent).result()
    assert os.getpid() == parent


def test_where_one_child_fails_the_others_end() -> None:
    kept_open, held_by_children = os.pipe()
    with pytest.raises(ValueError, match="the first"):
        list(each(refuse_or_wait, [(0,), (1,), (2,)], max_parallel=3))
    os.close(held_by_children)
    assert select([kept_open], [], [], 0)[0]
    os.close(kept_open)


@pytest.mark.usefixtures("forkable")
def test_fresh_process_answers_itself() -> None:
    assert can_fork()
    assert call(pid_after, 7) == (7, os.getpid())


def test_process_that_has_another_driver_asks_one_beside_itself() -> None:
    assert not can_fork()
    first, second = (call(os.getpid) for _ in range(2))
    assert first == second != os.getpid()
    with pytest.raises(ValueError, match="x"):
        call(refuse, "x")


def test_where_nothing_can_be_emulated_the_reason_is_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_compiler() -> None:
        raise BuildError("there is no C compiler (cc)")

    monkeypatch.setattr(processes, "build", no_compiler)
    monkeypatch.setattr(processes, "_beside", processes._beside.__wrapped__)
    with pytest.raises(NotPredictedError, match="no C compiler"):
        call(os.getpid)


def test_child_ends_with_its_parent() -> None:
    """A prediction that nobody waits for any more must not go on."""
    code = (
        "import os, signal, time\n"
        "from experiments.memory.processes import Child\n"
        "child = Child(time.sleep, 300)\n"
        "print(child._pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    pid = int(done.stdout)
    for _ in range(1000):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return
        except (FileNotFoundError, ProcessLookupError):
            return
        os.sched_yield()
    pytest.fail("the child lives on")
