"""The sync study."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gpulab.client import notebook, studies
from gpulab.client.following import PATIENCE_SECONDS
from gpulab.client.steps import Backoff
from gpulab.client.studies import StudyView
from gpulab.schemas import StudyRead, StudySummary

if TYPE_CHECKING:
    from gpulab.client.sync import Client, Job


class Study(StudyView):
    """A study of the lab: what was last seen of it, and what can be done with it."""

    def __init__(self, client: "Client", data: StudySummary | StudyRead, etag: str | None = None) -> None:
        super().__init__(data, etag)
        self._client = client
        self._driver = client._driver
        self._operations = client._operations

    def refresh(self, *, wait_seconds: float = 0) -> "Study":
        """Look again; with `wait_seconds` the lab holds the answer until something changes, at most that long."""
        backoff = Backoff(self._operations.retry_seconds)
        self._see(self._driver.run(studies.fetch(self.id, self._etag, wait_seconds, backoff)))
        return self

    def wait(
        self,
        timeout: float | None = None,
        on_change: "Callable[[Study], object] | None" = None,
        *,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> "Study":
        """Return when every run is final, `on_change` having been called for every version seen on the way.

        Puts up with a lab that is away for `patience_seconds`. Raises WaitTimeout after `timeout` seconds; the runs go
        on.
        """
        for seen in self._driver.walk(studies.wait_until_final(self.id, timeout, patience_seconds)):
            self._see(seen)
            if on_change is not None:
                on_change(self)
        return self

    def live(self, timeout: float | None = None, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        """Show the study in a notebook and keep it up to date until every run is final, at last with its pictures.

        Elsewhere it prints a line a change. Raises as `Job.live` does.
        """
        display = notebook.Display()
        for seen in self._driver.walk(notebook.follow_study(self.id, timeout, patience_seconds)):
            self._see(seen.snapshot)
            display.show(seen.card, repr(self))

    def jobs(self) -> "Iterator[Job]":
        """The jobs of its runs, newest first, reused ones too."""
        return self._client.jobs(study=self.id)

    def cancel(self) -> "Study":
        """Ask the lab to end every run that is not final."""
        self._see((self._driver.run(studies.act(self._operations, self.id, "cancel")), None))
        return self

    def retry(self) -> "Study":
        """Put new jobs in the place of runs that failed or were cancelled."""
        self._see((self._driver.run(studies.act(self._operations, self.id, "retry")), None))
        return self

    def add_seeds(self, seeds: Sequence[int], *, fresh: bool = False) -> "Study":
        """Add seeds; runs that are there stay, and those of yours that succeeded before are taken over."""
        body = {"seeds": list(seeds), "fresh": fresh}
        self._see((self._driver.run(studies.act(self._operations, self.id, "seeds", body)), None))
        return self

    def report(
        self,
        to: str | Path = ".",
        format: str | None = None,  # noqa: A002 - the interface calls it so
        *,
        timeout: float | None = None,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> list[Path]:
        """Fetch the report into the folder `to`, once every run is final: the page, Markdown, findings and pictures.

        `format` takes one file alone: `html`, `md` or `json`. Raises WaitTimeout after `timeout` seconds, Conflict when
        the report could not be made.
        """
        steps = studies.report(self._operations, self.id, Path(to), format, timeout, patience_seconds)
        return self._driver.run(steps)

    def _loaded(self) -> StudyRead:
        if not isinstance(self.data, StudyRead):
            self.refresh()
        return super()._loaded()

    def _repr_html_(self) -> str:
        """Its table and pictures for notebooks. It looks again where the study is not final."""
        seen = self._driver.run(notebook.study_now(self.data))
        self._see(seen.snapshot)
        return seen.card
