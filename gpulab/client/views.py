"""What both kinds of job share: the newest snapshot, and how it looks."""

from html import escape
from typing import Any, Self
from uuid import UUID

from gpulab.errors import JobFailed, JobNotLoaded
from gpulab.schemas import JobRead, JobSummary, ProgressRead
from gpulab.states import FINAL_STATES, FailureCause, JobState

STATE_COLORS = {
    JobState.QUEUED: "#6b7280",
    JobState.LEASED: "#0369a1",
    JobState.RUNNING: "#1d4ed8",
    JobState.SUCCEEDED: "#15803d",
    JobState.FAILED: "#b91c1c",
    JobState.CANCELLED: "#a16207",
}


class JobView:
    """A job as it was when last looked at; `refresh()` looks again. Everything the lab said is in `data`."""

    def __init__(self, data: JobSummary | JobRead, etag: str | None = None) -> None:
        self.data = data
        self._etag = etag

    @property
    def id(self) -> UUID:
        return self.data.id

    @property
    def experiment(self) -> str:
        return self.data.experiment

    @property
    def name(self) -> str | None:
        return self.data.name

    @property
    def state(self) -> JobState:
        return self.data.state

    @property
    def cause(self) -> FailureCause | None:
        """Why it failed; None unless the state is `failed`."""
        return self.data.cause

    @property
    def message(self) -> str | None:
        """One line: the error, or why the job waits."""
        return self.data.message

    @property
    def progress(self) -> ProgressRead | None:
        return self.data.progress

    @property
    def is_final(self) -> bool:
        """True when nothing will change any more."""
        return self.data.state in FINAL_STATES

    @property
    def spec(self) -> dict[str, Any]:
        """The spec with every default filled in."""
        return self._loaded().spec

    @property
    def result(self) -> dict[str, Any] | None:
        """What the run found; None until it succeeded."""
        return self._loaded().result

    def raise_for_failure(self) -> Self:
        """Raise JobFailed when the job failed or was cancelled; return the job otherwise."""
        if self.state not in {JobState.FAILED, JobState.CANCELLED}:
            return self
        why = ": ".join(part for part in (self.cause, self.message) if part)
        raise JobFailed(f"job {self.id} {self.state}" + (f": {why}" if why else ""), cause=self.cause)

    def _see(self, seen: tuple[JobRead, str | None] | None) -> None:
        if seen is not None:
            self.data, self._etag = seen

    def _loaded(self) -> JobRead:
        if isinstance(self.data, JobRead):
            return self.data
        raise JobNotLoaded(f"job {self.id} came from a list, without spec and result: refresh() it first")

    def __repr__(self) -> str:
        progress = f" {self.progress.fraction:.0%}" if self.progress and not self.is_final else ""
        return f"<{type(self).__name__} {self.id} {self.experiment} {self.state}{progress}>"

    def _repr_html_(self) -> str:
        """A small card for notebooks. Every text from the lab is escaped."""
        job = self.data
        fraction = 1.0 if job.state is JobState.SUCCEEDED else job.progress.fraction if job.progress else 0.0
        color = STATE_COLORS[job.state]
        lines = [f"<code>{job.id}</code>"]
        lines += [escape(f"attempt {job.attempt} on {job.node}")] if job.node else []
        lines += [escape(job.progress.message)] if job.progress and job.progress.message and not self.is_final else []
        lines += [escape(": ".join(part for part in (job.cause, job.message) if part))] if job.message else []
        title = escape(job.name or job.experiment)
        return (
            '<div style="border:1px solid #d1d5db;border-radius:6px;padding:.6em .9em;max-width:36em;font-size:90%">'
            f"<b>{title}</b> <span>{escape(job.experiment)}, seed {job.seed}</span> "
            f'<span style="color:{color};font-weight:bold">{job.state}</span>'
            '<div style="background:#e5e7eb;border-radius:3px;height:6px;margin:.4em 0">'
            f'<div style="background:{color};width:{fraction * 100:.0f}%;height:6px;border-radius:3px"></div></div>'
            + "<br>".join(lines)
            + "</div>"
        )
