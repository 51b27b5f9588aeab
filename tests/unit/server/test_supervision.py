import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from server.child_process import FolderInUseError, FolderLock, tail
from server.supervision import (
    ChildKeepsDyingError,
    ChildRefusedError,
    Keeper,
    LabProcess,
    SignalPipe,
    Stopped,
    run_once,
)


def lab_child(tmp_path: Path, code: str, grace_seconds: float = 5.0) -> LabProcess:
    return LabProcess([sys.executable, "-c", code], tmp_path / "child.log", dict(os.environ), tmp_path, grace_seconds)


def wait_for_end(child: LabProcess) -> None:
    assert child.process is not None
    child.process.wait(20)


def ended(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.02)
    return False


def test_dead_child_is_started_again_after_a_pause(tmp_path: Path) -> None:
    said: list[str] = []
    child = lab_child(tmp_path, "import time; time.sleep(60)")
    child.start()
    keeper = Keeper("worker", child, said.append)
    keeper.tend(0.0)
    assert said == []
    first = child.process
    assert first is not None
    first.kill()
    first.wait()
    keeper.tend(1.0)
    assert child.process is first, "the pause comes first"
    keeper.tend(2.0)
    assert child.process is not first
    child.stop()
    assert len(said) == 1
    assert "worker ended with status -9" in said[0]


def test_process_that_refuses_its_settings_ends_the_start_with_its_reason(tmp_path: Path) -> None:
    refusing = lab_child(tmp_path, 'import sys; print(\'{"reason": "no card T5"}\'); sys.exit(2)')
    with SignalPipe() as signals, pytest.raises(ChildRefusedError, match=r"settings refused \(no card T5\)"):
        run_once("settings", refusing, signals, 20.0)


def test_child_that_keeps_dying_is_given_up_with_the_end_of_its_log(tmp_path: Path) -> None:
    child = lab_child(tmp_path, "print('no such queue', flush=True)")
    child.start()
    keeper = Keeper("worker", child, lambda _: None)
    starts = []

    def live_and_die() -> None:
        for step in range(100):
            if child.process is not None:
                wait_for_end(child)
                starts.append(child.process)
            keeper.tend(float(step) / 2)

    with pytest.raises(ChildKeepsDyingError, match=r"worker keeps ending[\s\S]*no such queue"):
        live_and_die()
    assert len(set(starts)) == 6


def test_child_that_dies_once_in_a_while_is_kept(tmp_path: Path) -> None:
    child = lab_child(tmp_path, "pass")
    child.start()
    keeper = Keeper("api", child, lambda _: None)
    for hour in range(12):
        wait_for_end(child)
        keeper.tend(hour * 3600.0)
        keeper.tend(hour * 3600.0 + 100.0)
    child.stop()


def test_child_that_ignores_sigterm_is_killed_after_its_grace(tmp_path: Path) -> None:
    child = lab_child(
        tmp_path,
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)",
        grace_seconds=0.1,
    )
    child.start()
    process = child.process
    assert process is not None
    deadline = time.monotonic() + 20
    while "up" not in tail(child.log_path) and time.monotonic() < deadline:
        time.sleep(0.02)
    child.stop()
    assert process.returncode == -signal.SIGKILL


def test_child_does_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from server.supervision import LabProcess\n"
        "child = LabProcess(['sleep', '60'], Path(sys.argv[1]), dict(os.environ), Path('/')); child.start()\n"
        "print(child.process.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    root = Path(__file__).parents[3]
    parent = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "log"], cwd=root, capture_output=True, text=True, timeout=30
    )
    pid = int(parent.stdout)
    assert ended(pid, 10)


def test_run_once_fails_with_the_end_of_the_log(tmp_path: Path) -> None:
    child = lab_child(tmp_path, "import sys; print('database too old'); sys.exit(3)")
    with SignalPipe() as signals, pytest.raises(ChildKeepsDyingError, match=r"status 3[\s\S]*database too old"):
        run_once("migrations", child, signals, 20)


def test_run_once_ends_a_program_that_takes_too_long(tmp_path: Path) -> None:
    child = lab_child(tmp_path, "import time; time.sleep(60)")
    with SignalPipe() as signals, pytest.raises(ChildKeepsDyingError, match="not done after 0 s"):
        run_once("migrations", child, signals, 0.05)
    assert child.process is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_ends_the_wait_at_once(number: signal.Signals) -> None:
    with SignalPipe() as signals:
        timer = threading.Timer(0.05, os.kill, (os.getpid(), number))
        timer.start()
        started = time.monotonic()
        with pytest.raises(Stopped):
            signals.wait(30)
        assert time.monotonic() - started < 20
        timer.join()
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_lock_names_its_holder_and_is_free_after_release(tmp_path: Path) -> None:
    first, second = FolderLock(tmp_path / "lock"), FolderLock(tmp_path / "lock")
    first.acquire()
    with pytest.raises(FolderInUseError, match=str(os.getpid())):
        second.acquire()
    first.release()
    second.acquire()
    second.release()


def test_child_that_refuses_its_settings_is_not_started_again_before_the_lab_was_ready(tmp_path: Path) -> None:
    code = 'import sys; print(\'{"event": "program.refused", "reason": "no such node"}\', flush=True); sys.exit(2)'
    child = lab_child(tmp_path, code)
    child.start()
    wait_for_end(child)
    keeper = Keeper("worker", child, lambda _: None)
    with pytest.raises(ChildKeepsDyingError, match=r"worker refused to start \(no such node\)"):
        keeper.tend(0.0)


def test_end_of_a_child_is_told_with_its_reason(tmp_path: Path) -> None:
    said: list[str] = []
    child = lab_child(tmp_path, 'print(\'{"reason": "the disk is full"}\\nno JSON\', flush=True); raise SystemExit(1)')
    child.start()
    wait_for_end(child)
    Keeper("worker", child, said.append).tend(0.0)
    assert "worker ended with status 1 (the disk is full)" in said[0]


def test_child_whose_log_cannot_be_opened_is_tried_again_and_given_up(tmp_path: Path) -> None:
    said: list[str] = []
    child = lab_child(tmp_path, "pass")
    child.start()
    wait_for_end(child)
    keeper = Keeper("worker", child, said.append)
    keeper.tend(0.0)
    child.log_path.unlink()
    child.log_path.mkdir()
    keeper.tend(1.0)
    assert "worker [Errno 21] Is a directory" in said[-1]

    def try_again() -> None:
        for step in range(1, 12):
            keeper.tend(7.0 * step)

    with pytest.raises(ChildKeepsDyingError, match="keeps ending"):
        try_again()
