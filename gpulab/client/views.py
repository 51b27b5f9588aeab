"""What both kinds of job share: the newest snapshot, and how it looks."""

from typing import Any, Self
from uuid import UUID

from gpulab.client.cards import job_card
from gpulab.errors import JobFailed, JobNotLoaded
from gpulab.schemas import JobRead, JobSummary, ProgressRead
from gpulab.states import FINAL_STATES, FailureCause, JobState


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
        """A card for notebooks, of what was last seen."""
        return job_card(self.data)
