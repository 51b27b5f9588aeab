"""A job of the lab."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Self
from uuid import UUID

from gpulab.client import downloads, following
from gpulab.client.events import Change
from gpulab.client.notebook import live
from gpulab.client.series import Metrics, Samples, fetch_metrics
from gpulab.client.transport.http import Http, Snapshot, path_of
from gpulab.client.transport.pauses import Backoff
from gpulab.errors import JobFailed
from gpulab.schemas import (
    ArtifactRead,
    EventPage,
    EventRead,
    JobRead,
    JobSummary,
    ProgressRead,
    QueueRead,
)
from gpulab.states import FINAL_STATES, FailureCause, JobState


class Job:
    """A job as it was when last looked at, and what can be done with it. Everything the lab said is in `data`."""

    def __init__(self, http: Http, data: JobSummary | JobRead, etag: str | None = None) -> None:
        self.data = data
        self._etag = etag
        self._http = http
        self._path = path_of("jobs", data.id)

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
    def note(self) -> str | None:
        """What its owner or staff wrote about it."""
        return self._loaded().note

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

    def refresh(self, *, wait_seconds: float = 0, patience_seconds: float | None = None) -> "Job":
        """Look again; with `wait_seconds` the lab holds the answer until something changes, at most that long.

        `patience_seconds` is how long a lab that is away is put up with; None means the client's `retry_seconds`.
        """
        backoff = None if patience_seconds is None else Backoff(patience_seconds)
        self._see(self._look(self._etag, wait_seconds, backoff))
        return self

    def wait(
        self,
        timeout: float | None = None,
        on_change: "Callable[[Job], object] | None" = None,
        *,
        patience_seconds: float = following.TIMEOUT_SECONDS,
    ) -> "Job":
        """Return when the job is final, `on_change` having been called for every version seen on the way.

        Puts up with a lab that is away for `patience_seconds`, such as during a restart. Raises WaitTimeout after
        `timeout` seconds; the job goes on.
        """

        def final(job: JobRead) -> bool:
            return job.state in FINAL_STATES

        for seen in following.hold(self._look, final, timeout, patience_seconds, what=f"job {self.id}"):
            self._see(seen)
            if on_change is not None:
                on_change(self)
        return self

    def metrics(
        self,
        names: Iterable[str] | None = None,
        *,
        after_step: int | None = None,
        max_points: int | None = None,
        since: Metrics | None = None,
    ) -> Metrics:
        """The series recorded so far; the lab thins each to `max_points`, keeping extremes.

        `since` is what an earlier call for the same names returned: only what is new is fetched, and joined to it.
        """
        return fetch_metrics(self._http, self.id, names, after_step=after_step, max_points=max_points, since=since)

    def samples(self, *, max_points: int | None = None) -> Samples:
        """The memory and utilisation timeline: host, GPUs, allocator, prediction."""
        return self._http.get(Samples, f"{self._path}/samples", max_points=max_points)

    def logs(self, follow: bool = False, *, offset: int = 0) -> Iterator[str]:
        """What the run printed, in pieces of text; with `follow` until the job is final.

        `offset` is the byte to start from; a negative one counts from the end.
        """
        return following.read_logs(self._http, self.id, follow, offset)

    def events(self) -> list[EventRead]:
        """The job's history, oldest first."""
        return list(self._http.items(EventPage, f"{self._path}/events", None))

    def artifacts(self) -> list[ArtifactRead]:
        """The files the run kept."""
        return downloads.artifacts(self._http, self.id)

    def download(self, name: str, to: str | Path = ".", *, on_progress: Callable[[int], object] | None = None) -> Path:
        """Fetch one artifact into the folder `to`, made if missing; returns the file's path.

        The file appears under its name only when it is whole and its SHA-256 is right; a broken download goes on where
        it broke, also in a later call. `on_progress` gets the bytes there are so far. Raises DownloadFailed.
        """
        return downloads.download(self._http, self.id, name, Path(to), on_progress)

    def queue(self) -> QueueRead:
        """Why the job waits, its place, and what would help."""
        return self._http.get(QueueRead, f"{self._path}/queue")

    def stream(
        self, last_event_id: str | None = None, *, patience_seconds: float = following.TIMEOUT_SECONDS
    ) -> Iterator[Change]:
        """Notices of changes of this job."""
        return following.listen(self._http, f"{self._path}/stream", last_event_id, patience_seconds)

    def cancel(self) -> "Job":
        """Ask the lab to end the job; it keeps what was recorded. Raises Conflict when the job is final already."""
        # Asking twice to cancel is asking once.
        self._see((self._http.parse(JobRead, self._http.send("POST", f"{self._path}/cancel")), None))
        return self

    def retry(self) -> "Job":
        """Queue the same run again as a new job, linked to this one; returns the new job."""
        return Job(self._http, self._http.change(JobRead, "POST", f"{self._path}/retry"))

    def change(self, **changes: Any) -> "Job":
        """Change `name`, `tags` or `note`; None takes the name or the note away."""
        self._see((self._http.change(JobRead, "PATCH", self._path, changes), None))
        return self

    def delete(self) -> None:
        """Delete the job with all it recorded. Raises Conflict while it is not over, or if it was handed in."""
        self._http.send("DELETE", self._path)

    def live(self, timeout: float | None = None, *, patience_seconds: float = following.TIMEOUT_SECONDS) -> None:
        """Show the job's card in a notebook and keep it up to date until the job is final; elsewhere a line a change.

        Raises WaitTimeout after `timeout` seconds; the job goes on. A lab that is away is put up with for
        `patience_seconds`, and the card says so.
        """
        display = live.Display()
        for seen in live.follow_job(self._http, self.id, timeout, patience_seconds):
            self._see(seen.snapshot)
            display.show(seen.card, repr(self))

    def _look(self, etag: str | None, wait_seconds: float, backoff: Backoff | None = None) -> Snapshot[JobRead] | None:
        return self._http.look(JobRead, self._path, etag, wait_seconds, backoff)

    def _see(self, seen: Snapshot[JobRead] | None) -> None:
        if seen is not None:
            self.data, self._etag = seen

    def _loaded(self) -> JobRead:
        """A job from a list has neither spec nor result; this fetches them."""
        if not isinstance(self.data, JobRead):
            self.data = self._http.get(JobRead, self._path)
        return self.data

    def __repr__(self) -> str:
        progress = f" {self.progress.fraction:.0%}" if self.progress and not self.is_final else ""
        return f"<{type(self).__name__} {self.id} {self.experiment} {self.state}{progress}>"

    def _repr_html_(self) -> str:
        """A card for notebooks, with curves. It looks again where the job is not final."""
        seen = live.job_now(self._http, self.data)
        self._see(seen.snapshot)
        return seen.card
