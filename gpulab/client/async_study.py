"""The async study: the methods of the sync one to `await`."""

import inspect
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gpulab.client import notebook, studies
from gpulab.client.following import PATIENCE_SECONDS
from gpulab.client.mirror import documented_as
from gpulab.client.steps import Backoff
from gpulab.client.studies import StudyView
from gpulab.client.study import Study
from gpulab.schemas import StudyRead, StudySummary

if TYPE_CHECKING:
    from gpulab.client.asynchronous import AsyncClient, AsyncJob


@documented_as(Study)
class AsyncStudy(StudyView):
    """`Study` for asyncio. A study from a list must be refreshed before its comparison can be read."""

    def __init__(self, client: "AsyncClient", data: StudySummary | StudyRead, etag: str | None = None) -> None:
        super().__init__(data, etag)
        self._client = client
        self._driver = client._driver
        self._operations = client._operations

    async def refresh(self, *, wait_seconds: float = 0) -> "AsyncStudy":
        backoff = Backoff(self._operations.retry_seconds)
        self._see(await self._driver.run(studies.fetch(self.id, self._etag, wait_seconds, backoff)))
        return self

    async def wait(
        self,
        timeout: float | None = None,  # noqa: ASYNC109 - it raises WaitTimeout, as in the sync client
        on_change: "Callable[[AsyncStudy], object] | None" = None,
        *,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> "AsyncStudy":
        async for seen in self._driver.walk(studies.wait_until_final(self.id, timeout, patience_seconds)):
            self._see(seen)
            if on_change is not None and inspect.isawaitable(asked := on_change(self)):
                await asked
        return self

    async def live(
        self,
        timeout: float | None = None,  # noqa: ASYNC109 - it raises WaitTimeout, as in the sync client
        *,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        display = notebook.Display()
        async for seen in self._driver.walk(notebook.follow_study(self.id, timeout, patience_seconds)):
            self._see(seen.snapshot)
            display.show(seen.card, repr(self))

    def jobs(self) -> "AsyncIterator[AsyncJob]":
        return self._client.jobs(study=self.id)

    async def cancel(self) -> "AsyncStudy":
        self._see((await self._driver.run(studies.act(self._operations, self.id, "cancel")), None))
        return self

    async def retry(self) -> "AsyncStudy":
        self._see((await self._driver.run(studies.act(self._operations, self.id, "retry")), None))
        return self

    async def add_seeds(self, seeds: Sequence[int], *, fresh: bool = False) -> "AsyncStudy":
        body = {"seeds": list(seeds), "fresh": fresh}
        self._see((await self._driver.run(studies.act(self._operations, self.id, "seeds", body)), None))
        return self

    async def report(
        self,
        to: str | Path = ".",
        format: str | None = None,  # noqa: A002 - the interface calls it so
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - it raises WaitTimeout, as in the sync client
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> list[Path]:
        steps = studies.report(self._operations, self.id, Path(to), format, timeout, patience_seconds)
        return await self._driver.run(steps)
