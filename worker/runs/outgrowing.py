"""What a run took beyond its limits, in the words of its verdict."""

from worker.measuring.host_memory import HostBreach
from worker.programs.watch import ProgramBreach
from worker.runs import advice
from worker.runs.attempt import Attempt
from worker.runs.verdict import Outgrown


def outgrown(attempt: Attempt) -> Outgrown | None:
    """What it took beyond its limits, in words; null where it kept to them."""
    breach = attempt.breach
    if breach is None:
        return None
    if isinstance(breach, ProgramBreach):
        return Outgrown(str(breach), cause=breach.cause)
    if isinstance(breach, HostBreach):
        return Outgrown(str(breach))
    held, reserved = (f"{size / 2**30:.2f} GiB" for size in (breach.process_used_bytes, breach.reserved_bytes))
    words = f"it used {held} of GPU memory and had reserved {reserved}: the lab ended it to protect other jobs"
    return Outgrown(words, advice.of_breach(breach, attempt.folder).model_dump(mode="json"))
