"""The verdict on an attempt, as a pure function of what is known when its process has ended.

What a run says of itself counts first, then what the lab ordered, then how the process ended. What broke in the lab (a
zygote, a worker, a disk, the machine's memory) is never called the author's error: the attempt is lost, and another
one follows.
"""

import signal
from dataclasses import dataclass
from typing import Any

from experiments.hosting.wire import Disturbed, Ending, Failed, Stopped, Succeeded
from gpulab.states import FailureCause, JobState
from worker.runs.attempt import StopReason
from worker.runs.zygote import End

OUTSIDE_SIGNALS = frozenset(
    {signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGPWR, signal.SIGSTOP}
)
"""What a person or the system sends. Every other signal is what a program does to itself."""


@dataclass(frozen=True, slots=True)
class Finish:
    """The job is over."""

    state: JobState
    message: str = ""
    cause: FailureCause | None = None
    result: dict[str, Any] | None = None
    failure: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Requeue:
    """Another attempt follows, and this one counts as none lost."""

    message: str
    alone: bool = False
    """Whether it waits for a GPU that it does not share."""


@dataclass(frozen=True, slots=True)
class Lose:
    """Another attempt follows, unless too many were lost."""

    message: str


Verdict = Finish | Requeue | Lose


@dataclass(frozen=True, slots=True)
class Outgrown:
    """A job that was ended because it took more than it may."""

    message: str
    failure: dict[str, Any] | None = None
    """For a GPU's memory, what is known of it."""
    cause: FailureCause = FailureCause.OUT_OF_MEMORY


def judge(
    ending: Ending | None,
    end: End | None,
    stop: StopReason | None = None,
    *,
    outgrown: Outgrown | None = None,
    out_of_host_memory: bool = False,
    gpu_fault: str = "",
    had_neighbours: bool = True,
    is_contained: bool = False,
    idle_minutes: float = 0.0,
    files_lost: str = "",
) -> Verdict:
    """`ending`: what the run said last. `end`: how its process ended; null where its worker was killed and saw nothing.
    `out_of_host_memory`: whether the kernel ended processes for want of memory meanwhile. `gpu_fault`: what is wrong
    with a GPU that it had, in words. `had_neighbours`: whether it may have shared a GPU. `is_contained`: whether it ran
    in a sandbox, which no signal from outside reaches. `files_lost`: what the store did not take, in words.
    """
    match ending, stop:
        case Succeeded(), StopReason.CANCEL if files_lost:
            return Finish(JobState.CANCELLED, f"cancelled while its files waited to be stored; {files_lost}")
        case Succeeded(), _:
            notes = filter(None, (_after_result(end), files_lost))
            return Finish(JobState.SUCCEEDED, "; ".join(notes), result=ending.value)
        case _, StopReason.CANCEL:
            return Finish(JobState.CANCELLED, "cancelled")
        case _, StopReason.TIME_LIMIT:
            return _failed(FailureCause.TIME_LIMIT, "it reached its time limit and was stopped")
        case _, StopReason.IDLE:
            words = f"its GPUs were unused for {idle_minutes:g} minutes, so it was stopped"
            return _failed(FailureCause.IDLE, words)
    if outgrown is not None:
        return _failed(outgrown.cause, outgrown.message, outgrown.failure)
    match ending, stop:
        case Failed(), _:
            return _own_failure(ending, gpu_fault, had_neighbours=had_neighbours)
        case _, StopReason.LEAVE:
            return Requeue("the worker is stopping")
        case _, StopReason.YIELD:
            return Requeue("it gave way to a job with a higher priority")
        case Disturbed(), _:
            return Lose(f"the machine failed: {ending.message}")
        case Stopped(), _:
            return _stopped_unseen(end, is_contained=is_contained)
    return _by_process(end, gpu_fault, out_of_host_memory=out_of_host_memory, is_contained=is_contained)


def _own_failure(failed: Failed, gpu_fault: str, *, had_neighbours: bool) -> Verdict:
    """A job that ran out of memory within its reservation suffered from its neighbours: once more, alone. On a broken
    GPU every further call of CUDA fails, which looks like the program's own error."""
    if gpu_fault and failed.cause is FailureCause.ERROR:
        return Lose(gpu_fault)
    if had_neighbours and failed.failure and failed.failure.get("inside_reservation"):
        return Requeue(f"{failed.message}; it kept to its reservation and runs again, alone on a GPU", alone=True)
    return _failed(failed.cause, failed.message, failed.failure)


def _stopped_unseen(end: End | None, *, is_contained: bool) -> Verdict:
    """It stopped as it was asked to, and this worker asked for nothing."""
    if is_contained:
        return _failed(FailureCause.ERROR, "it stopped without a request from the lab")
    if end is None:
        return Requeue("its worker was killed after it had stopped the run")
    return Lose("it received a signal to stop from outside the lab")


def _by_process(end: End | None, gpu_fault: str, *, out_of_host_memory: bool, is_contained: bool) -> Verdict:
    """Of a run that did not come to say how it ended."""
    if gpu_fault:
        return Lose(gpu_fault)
    if end is None:
        return Lose("its worker was killed")
    if end.words:
        return Lose(f"the machine failed: {end.words}")
    if end.status is None:
        return Lose("its process died with the zygote that it was forked from")
    if end.status >= 0:
        words = f"the process ended with status {end.status} and without a result; see the log"
        return _failed(FailureCause.ERROR, words)
    if -end.status == signal.SIGKILL and out_of_host_memory:
        return Lose("the kernel ended its process because the machine was out of memory")
    name = _signal_name(-end.status)
    if -end.status in OUTSIDE_SIGNALS and not is_contained:
        return Lose(f"its process was ended from outside by {name}")
    return _failed(FailureCause.ERROR, f"the process crashed with {name}; see the log")


def _after_result(end: End | None) -> str:
    """The result stands, whatever became of the process; images are drawn after it."""
    if end is None or end.status == 0:
        return ""
    how = "was killed" if end.status is None or end.status < 0 else f"ended with status {end.status}"
    return f"the process {how} after its result was written; some of its files may be missing"


def _failed(cause: FailureCause, message: str, failure: dict[str, Any] | None = None) -> Finish:
    return Finish(JobState.FAILED, message, cause, failure=failure or None)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
