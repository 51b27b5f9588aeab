"""A study of the lab."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

from gpulab.client import reports
from gpulab.client.following import TIMEOUT_SECONDS, hold
from gpulab.client.job import Job
from gpulab.client.notebook import live
from gpulab.client.transport.http import Http, Snapshot, path_of
from gpulab.client.transport.pauses import Backoff
from gpulab.errors import JobFailed
from gpulab.schemas import JobPage, StudyDeleted, StudyRead, StudySummary

if TYPE_CHECKING:
    from pandas import DataFrame

MAX_REST_SECONDS = 2.0
"""A study changes with every step of each of its runs, and every look reads all of it."""
READ_TIMEOUT_SECONDS = 60.0


class Study:
    """A study as it was when last looked at, and what can be done with it. Everything the lab said is in `data`."""

    def __init__(self, http: Http, data: StudySummary | StudyRead, etag: str | None = None) -> None:
        self.data = data
        self._etag = etag
        self._http = http
        self._path = path_of("studies", data.id)

    @property
    def id(self) -> UUID:
        return self.data.id

    @property
    def title(self) -> str:
        return self.data.title

    @property
    def state(self) -> str:
        """`running` until every run is final; then `succeeded`, `failed` or `cancelled`."""
        return self.data.state

    @property
    def is_final(self) -> bool:
        """True when no run will change any more."""
        return self.data.state != "running"

    @property
    def progress(self) -> float:
        """0 to 1, over all runs."""
        return self.data.progress

    def table(self) -> list[dict[str, Any]]:
        """The comparison: a row for each cell and number, with `mean`, `sd`, `min`, `max` and `n`."""
        return [
            {**cell.cell, "experiment": cell.experiment, "quantity": name, **found.model_dump()}
            for cell in self._loaded().comparison
            for name, found in cell.fields.items()
        ]

    def to_dataframe(self) -> "DataFrame":
        """`table()` as a data frame; needs pandas."""
        from pandas import DataFrame

        return DataFrame(self.table())

    def raise_for_failure(self) -> Self:
        """Raise JobFailed when a run failed or was cancelled; return the study otherwise."""
        if self.state in {"failed", "cancelled"}:
            counts = ", ".join(f"{count} {state}" for state, count in self.data.states.items())
            raise JobFailed(f"study {self.id} {self.state}: {counts}", cause=None)
        return self

    def refresh(self, *, wait_seconds: float = 0) -> "Study":
        """Look again; with `wait_seconds` the lab holds the answer until something changes, at most that long."""
        self._see(self._look(self._etag, wait_seconds))
        return self

    def wait(
        self,
        timeout: float | None = None,
        on_change: "Callable[[Study], object] | None" = None,
        *,
        patience_seconds: float = TIMEOUT_SECONDS,
    ) -> "Study":
        """Return when every run is final, `on_change` having been called for every version seen on the way.

        Puts up with a lab that is away for `patience_seconds`. Raises WaitTimeout after `timeout` seconds; the runs go
        on.
        """

        def final(study: StudyRead) -> bool:
            return study.state != "running"

        what = f"study {self.id}"
        for seen in hold(self._look, final, timeout, patience_seconds, what=what, max_rest_seconds=MAX_REST_SECONDS):
            self._see(seen)
            if on_change is not None:
                on_change(self)
        return self

    def live(self, timeout: float | None = None, *, patience_seconds: float = TIMEOUT_SECONDS) -> None:
        """Show the study in a notebook and keep it up to date until every run is final, at last with its images.

        Elsewhere it prints a line a change. Raises as `Job.live` does.
        """
        display = live.Display()
        for seen in live.follow_study(self._http, self.id, timeout, patience_seconds):
            self._see(seen.snapshot)
            display.show(seen.card, repr(self))

    def jobs(self) -> "Iterator[Job]":
        """The jobs of its runs, newest first, reused ones too."""
        return (Job(self._http, one) for one in self._http.items(JobPage, path_of("jobs"), None, study=self.id))

    def cancel(self) -> "Study":
        """Ask the lab to end every run that is not final."""
        return self._act("cancel")

    def retry(self) -> "Study":
        """Put new jobs in the place of runs that failed or were cancelled."""
        return self._act("retry")

    def add_seeds(self, seeds: Sequence[int], *, fresh: bool = False) -> "Study":
        """Add seeds; runs that are there stay, and those of yours that succeeded before are taken over."""
        return self._act("seeds", {"seeds": list(seeds), "fresh": fresh})

    def delete(self) -> StudyDeleted:
        """Delete the study with its runs. Runs that were handed in or reused elsewhere stay. Raises Conflict."""
        return self._http.change(StudyDeleted, "DELETE", self._path)

    def report(
        self,
        to: str | Path = ".",
        format: str | None = None,  # noqa: A002 - the interface calls it so
        *,
        timeout: float | None = None,
        patience_seconds: float = TIMEOUT_SECONDS,
    ) -> list[Path]:
        """Fetch the report into the folder `to`, once every run is final: the page, Markdown, findings and images.

        `format` takes one file alone: `html`, `md` or `json`. Raises WaitTimeout after `timeout` seconds, Conflict when
        the report could not be made.
        """
        return reports.fetch_report(self._http, self.id, Path(to), format, timeout, patience_seconds)

    def _act(self, action: str, body: Mapping[str, Any] | None = None) -> "Study":
        # Repeating one does no harm: a run is replaced only if it ended badly, and a seed is there or not.
        self._see((self._http.parse(StudyRead, self._http.send("POST", f"{self._path}/{action}", body=body)), None))
        return self

    def _look(
        self, etag: str | None, wait_seconds: float, backoff: Backoff | None = None
    ) -> Snapshot[StudyRead] | None:
        return self._http.look(StudyRead, self._path, etag, wait_seconds, backoff, READ_TIMEOUT_SECONDS)

    def _see(self, seen: Snapshot[StudyRead] | None) -> None:
        if seen is not None:
            self.data, self._etag = seen

    def _loaded(self) -> StudyRead:
        """A study from a list has no comparison; this fetches it."""
        if not isinstance(self.data, StudyRead):
            self.data = self._http.get(StudyRead, self._path)
        return self.data

    def __repr__(self) -> str:
        counts: Sequence[str] = [f"{count} {state}" for state, count in self.data.states.items()]
        return f"<{type(self).__name__} {self.id} {self.title!r} {', '.join(counts)}>"

    def _repr_html_(self) -> str:
        """Its table and images for notebooks. It looks again where the study is not final."""
        seen = live.study_now(self._http, self.data)
        self._see(seen.snapshot)
        return seen.card
