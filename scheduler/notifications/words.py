"""What a message says: all that waits for one user, in one text. Pure.

A message has names, states and times of the user's own runs, and links. It has no results, no output and no error's
text: those may hold what is held back, or what another user wrote.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from uuid import UUID
from zoneinfo import ZoneInfo

from gpulab.names import cleaned
from gpulab.states import CAUSE_WORDS, FailureCause, JobState, NotificationKind, WaitReason
from gpulab.words import counted

MAX_LINES = 10
DIGEST = "digest"
"""The kind of a message about several things."""
TEST = "This is a test. Messages from gpulab arrive here"
FIRST = (
    NotificationKind.TEST,
    NotificationKind.WAITING,
    NotificationKind.DEADLINE,
    NotificationKind.FAILED,
    NotificationKind.ENDED,
)
"""The order of what a message says."""
WAITS = {
    WaitReason.CANNOT_FIT: "cannot start: no GPU of the lab is large enough",
    WaitReason.NO_GPU: "cannot start: no machine has enough GPUs",
    WaitReason.NO_SANDBOX: "cannot start: no machine can run programs",
    WaitReason.DATASET_MISSING: "cannot start: no machine has its data set",
}


@dataclass(frozen=True)
class Entry:
    """One thing to say."""

    kind: NotificationKind
    job_id: UUID | None = None
    name: str | None = None
    """The run's."""
    experiment: str | None = None
    state: JobState | None = None
    cause: FailureCause | None = None
    wait_reason: WaitReason | None = None
    study_id: UUID | None = None
    study: str | None = None
    assignment: str | None = None
    due_at: datetime | None = None
    node: str | None = None


@dataclass(frozen=True)
class Message:
    kind: str
    """A `NotificationKind`, or `DIGEST`."""
    subject: str
    lines: tuple[str, ...]
    """Beside the subject."""
    link: str | None

    @property
    def text(self) -> str:
        return "\n".join([self.subject, *self.lines])


def composed(entries: Sequence[Entry], *, public_url: str | None, time_zone: str) -> Message:
    """One message about all of them."""
    zone = UTC if time_zone == "UTC" else ZoneInfo(time_zone)
    ordered = sorted(entries, key=lambda entry: FIRST.index(entry.kind))
    link = None if public_url is None else public_url.rstrip("/") + _page(ordered)
    if len(ordered) == 1:
        return Message(ordered[0].kind.value, _line(ordered[0], zone), (), link)
    lines = [f"- {_line(entry, zone)}" for entry in ordered[:MAX_LINES]]
    if len(ordered) > MAX_LINES:
        lines.append(f"and {len(ordered) - MAX_LINES} more")
    return Message(DIGEST, _summary(ordered), tuple(lines), link)


def _summary(entries: Sequence[Entry]) -> str:
    """`500 runs ended, 3 of them failed; 1 deadline is near`."""
    counts = Counter(entry.kind for entry in entries)
    failed, ended = counts[NotificationKind.FAILED], counts[NotificationKind.FAILED] + counts[NotificationKind.ENDED]
    parts = []
    if ended:
        studies = {(entry.study_id, entry.study) for entry in entries if entry.state is not None}
        study = next(iter(studies))[1] if len(studies) == 1 else None
        of_study = f" of the study {cleaned(study)}" if study else ""
        parts.append(f"{counted(ended, 'run')}{of_study} ended{f', {failed} of them failed' if failed else ''}")
    if near := counts[NotificationKind.DEADLINE]:
        parts.append(f"{counted(near, 'deadline')} near")
    if waiting := counts[NotificationKind.WAITING]:
        parts.append(f"{counted(waiting, 'thing')} waiting for you")
    return "; ".join(parts) or TEST


def _line(entry: Entry, zone: tzinfo) -> str:
    if entry.kind is NotificationKind.TEST:
        return TEST
    if entry.kind is NotificationKind.DEADLINE and entry.due_at is not None:
        due = f"{entry.due_at.astimezone(zone):%A %Y-%m-%d %H:%M %Z}"
        return f"{cleaned(entry.assignment or 'An assignment')} is due {due}, and you have handed nothing in"
    if entry.node is not None:
        return f"The machine {cleaned(entry.node)} was set aside until an admin undrains it"
    return f"Your run {_called(entry)} {_happened(entry)}"


def _happened(entry: Entry) -> str:
    if entry.kind is NotificationKind.WAITING:
        if entry.wait_reason in WAITS:
            return WAITS[entry.wait_reason]
        return "does not use its GPU, and will be ended soon"
    if entry.kind is NotificationKind.FAILED:
        return f"failed: {CAUSE_WORDS[entry.cause]}" if entry.cause else "failed"
    return "was cancelled" if entry.state is JobState.CANCELLED else "succeeded"


def _called(entry: Entry) -> str:
    experiment = cleaned(entry.experiment or "")
    return f"{cleaned(entry.name)} ({experiment})" if entry.name else experiment


def _page(entries: Sequence[Entry]) -> str:
    """The page that shows them all."""
    jobs, studies = {entry.job_id for entry in entries}, {entry.study_id for entry in entries}
    if len(jobs) == 1 and None not in jobs:
        return f"/jobs/{jobs.pop()}"
    if len(studies) == 1 and None not in studies:
        return f"/studies/{studies.pop()}"
    kinds = {entry.kind for entry in entries}
    if kinds == {NotificationKind.DEADLINE}:
        return "/assignments"
    if kinds == {NotificationKind.TEST}:
        return "/account"
    return "/nodes" if all(entry.node for entry in entries) else "/jobs"
