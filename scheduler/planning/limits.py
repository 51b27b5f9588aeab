"""The limits of a user. A limit makes jobs wait with a reason; only submitting too many is refused."""

from gpulab.states import WaitReason
from gpulab.words import counted
from scheduler.planning.terms import User, Wait


def wait_of(user: User, started: int, *, uses_gpu: bool) -> Wait | None:
    """Why none of the user's jobs may start now; `started` are those of theirs that this plan starts."""
    limits = user.limits
    if limits.running is not None and user.running + started >= limits.running:
        if limits.running == 0:
            return Wait(WaitReason.LIMIT_RUNNING, "its owner's limit of running jobs is 0; staff can raise it")
        most = counted(limits.running, "job")
        return Wait(WaitReason.LIMIT_RUNNING, f"its owner may run {most} at the same time; it starts when one ends")
    if not uses_gpu:
        return None
    if limits.gpu_hours is not None and user.gpu_hours >= limits.gpu_hours:
        return Wait(WaitReason.LIMIT_GPU_HOURS, _used_up(f"{limits.gpu_hours:g} GPU-hours"))
    if limits.gib_hours is not None and user.gib_hours >= limits.gib_hours:
        return Wait(WaitReason.LIMIT_GIB_HOURS, _used_up(f"{limits.gib_hours:g} GiB-hours of GPU memory"))
    return None


def _used_up(what: str) -> str:
    return f"its owner has reached the limit of {what}; it starts once older usage leaves the window"
