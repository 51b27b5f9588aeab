"""Who is to blame: every way in which an attempt can end."""

import signal

import pytest

from experiments.hosting.wire import Disturbed, Ending, Failed, Stopped, Succeeded
from gpulab.states import FailureCause, JobState
from worker.runs.attempt import StopReason
from worker.runs.verdict import Finish, Lose, Outgrown, Requeue, Verdict, judge
from worker.runs.zygote import End

RESULT = Succeeded(type="result", value={"x": 1})
ERROR = Failed(type="error", message="ValueError: no", cause=FailureCause.ERROR)
DIVERGED = Failed(type="error", message="Diverged: nan", cause=FailureCause.DIVERGED)
STOPPED = Stopped(type="stopped")
FULL_DISK = Disturbed(type="disturbed", message="OSError: [Errno 28] No space left on device")
GOOD, UNSEEN = End(0), End(None)
KILLED = End(-signal.SIGKILL)


def in_short(verdict: Verdict) -> str:
    match verdict:
        case Finish(state=JobState.FAILED):
            return str(verdict.cause)
        case Finish():
            return str(verdict.state)
        case Requeue():
            return "again, alone" if verdict.alone else "again"
        case Lose():
            return "lost"


@pytest.mark.parametrize(
    ("ending", "end", "stop", "verdict"),
    [
        # It said how it ended.
        (RESULT, GOOD, None, "succeeded"),
        (RESULT, KILLED, None, "succeeded"),
        (RESULT, UNSEEN, None, "succeeded"),
        (RESULT, None, None, "succeeded"),
        (RESULT, GOOD, StopReason.CANCEL, "succeeded"),
        (RESULT, GOOD, StopReason.TIME_LIMIT, "succeeded"),
        (ERROR, End(1), None, "error"),
        (ERROR, None, None, "error"),
        (ERROR, End(1), StopReason.LEAVE, "error"),
        (DIVERGED, End(1), None, "diverged"),
        (FULL_DISK, End(1), None, "lost"),
        (FULL_DISK, End(1), StopReason.YIELD, "again"),
        (FULL_DISK, End(1), StopReason.CANCEL, "cancelled"),
        # The lab stopped it.
        (STOPPED, GOOD, StopReason.CANCEL, "cancelled"),
        (STOPPED, GOOD, StopReason.LEAVE, "again"),
        (STOPPED, GOOD, StopReason.YIELD, "again"),
        (STOPPED, GOOD, StopReason.TIME_LIMIT, "time_limit"),
        (STOPPED, GOOD, StopReason.IDLE, "idle"),
        (None, KILLED, StopReason.CANCEL, "cancelled"),
        (None, KILLED, StopReason.TIME_LIMIT, "time_limit"),
        (None, KILLED, StopReason.LEAVE, "again"),
        (None, UNSEEN, StopReason.CANCEL, "cancelled"),
        (None, UNSEEN, StopReason.LEAVE, "again"),
        # Somebody else stopped it: a worker that was killed, a person.
        (STOPPED, None, None, "again"),
        (STOPPED, GOOD, None, "lost"),
        # It said nothing, and the lab broke: the zygote, the worker, the disk.
        (None, UNSEEN, None, "lost"),
        (None, None, None, "lost"),
        (None, End(1, "its last record could not be written: No space left on device"), None, "lost"),
        (None, End(0, "Read-only file system"), None, "lost"),
        # It said nothing, and somebody outside ended it.
        (None, KILLED, None, "lost"),
        (None, End(-signal.SIGTERM), None, "lost"),
        (None, End(-signal.SIGINT), None, "lost"),
        (None, End(-signal.SIGHUP), None, "lost"),
        # It said nothing and ended itself, with whatever status: 255 is what a program may choose, too.
        (None, GOOD, None, "error"),
        (None, End(1), None, "error"),
        (None, End(74), None, "error"),
        (None, End(137), None, "error"),
        (None, End(255), None, "error"),
        (None, End(-signal.SIGSEGV), None, "error"),
        (None, End(-signal.SIGABRT), None, "error"),
        (None, End(-signal.SIGBUS), None, "error"),
        (None, End(-signal.SIGALRM), None, "error"),
        (None, End(-signal.SIGXFSZ), None, "error"),
        (None, End(-63), None, "error"),
    ],
)
def test_verdict(ending: Ending | None, end: End | None, stop: StopReason | None, verdict: str) -> None:
    assert in_short(judge(ending, end, stop)) == verdict


def test_who_takes_more_memory_than_reserved_fails_with_what_is_known() -> None:
    outgrown = Outgrown("it held 2 GiB and had reserved 1", {"limit_bytes": 1})
    found = judge(None, KILLED, StopReason.BREACH, outgrown=outgrown)
    assert found == Finish(JobState.FAILED, outgrown.message, FailureCause.OUT_OF_MEMORY, failure={"limit_bytes": 1})
    assert in_short(judge(RESULT, KILLED, StopReason.BREACH, outgrown=outgrown)) == "succeeded"
    assert in_short(judge(None, KILLED, StopReason.CANCEL, outgrown=outgrown)) == "cancelled"


def test_who_ran_out_within_the_reservation_runs_again_alone_where_there_were_neighbours() -> None:
    ran_out = ERROR.model_copy(
        update={"cause": FailureCause.OUT_OF_MEMORY, "failure": {"inside_reservation": True}},
    )
    assert in_short(judge(ran_out, End(1))) == "again, alone"
    assert in_short(judge(ran_out, End(1), had_neighbours=False)) == "out_of_memory"


def test_kernel_short_of_memory_is_named_and_only_where_it_killed() -> None:
    killed = judge(None, KILLED, out_of_host_memory=True)
    assert isinstance(killed, Lose)
    assert "out of memory" in killed.message
    assert in_short(judge(None, End(3), out_of_host_memory=True)) == "error"


def test_files_that_the_store_never_took_are_named_beside_the_result() -> None:
    kept = judge(RESULT, GOOD, StopReason.TIME_LIMIT, files_lost="a.png: not kept")
    assert isinstance(kept, Finish)
    assert (kept.state, kept.result, kept.message) == (JobState.SUCCEEDED, {"x": 1}, "a.png: not kept")
    cancelled = judge(RESULT, GOOD, StopReason.CANCEL, files_lost="a.png: not kept")
    assert in_short(cancelled) == "cancelled"


@pytest.mark.parametrize(
    "ending", [Failed(type="error", cause=FailureCause.ERROR, message="CUDA error: unspecified launch failure"), None]
)
def test_a_run_whose_gpu_broke_is_lost_and_not_its_authors_error(ending: Ending | None) -> None:
    end = End(1, "")
    assert judge(ending, end, gpu_fault="GPU GPU-1 failed: lost") == Lose("GPU GPU-1 failed: lost")
    assert isinstance(judge(ending, end), Finish)


def test_a_broken_gpu_excuses_neither_a_divergence_nor_takes_a_result_away() -> None:
    diverged = DIVERGED
    found = judge(diverged, End(1, ""), gpu_fault="GPU GPU-1 failed: lost")
    assert isinstance(found, Finish)
    assert found.cause is FailureCause.DIVERGED
    assert isinstance(judge(RESULT, End(0, ""), gpu_fault="lost"), Finish)
