"""The async client: `AsyncClient` and `AsyncJob`, the methods of the sync pair to `await` or `async for`."""

import inspect
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import UUID

import httpx
from pydantic import BaseModel

from gpulab.client import downloads, following, notebook, studies
from gpulab.client.async_people import AsyncPeople
from gpulab.client.async_study import AsyncStudy
from gpulab.client.connection import resolve
from gpulab.client.drivers import AsyncDriver
from gpulab.client.events import Change
from gpulab.client.mirror import documented_as
from gpulab.client.operations import Operations, job_path
from gpulab.client.series import Metrics, Samples
from gpulab.client.sync import Client, Job
from gpulab.client.views import JobView
from gpulab.schemas import (
    AccuracyRead,
    ArtifactRead,
    DryRunRead,
    EstimateRead,
    EventRead,
    ExperimentDetail,
    ExperimentSummary,
    JobRead,
    JobSummary,
    MeRead,
    NodeEventRead,
    NodeRead,
    NodeTokenRead,
    QueueRead,
    RevokedRead,
)


@documented_as(Client)
class AsyncClient:
    """`Client` for asyncio: methods are awaited, iterators are for `async for`, and it closes with `async with`."""

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        token_file: str | Path | None = None,
        retry_seconds: float = 10.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        connection = resolve(url, token, token_file)
        self.url = connection.url
        self._operations = Operations(retry_seconds)
        self._driver = AsyncDriver(connection, transport)
        self.people = AsyncPeople(self._operations, self._driver)

    async def submit(
        self,
        experiment: str,
        spec: Mapping[str, Any] | BaseModel | None = None,
        *,
        seed: int = 0,
        name: str | None = None,
        tags: Sequence[str] = (),
        priority: str | None = None,
        time_limit_seconds: int | None = None,
        gpus: int | None = None,
        gpu_memory_bytes: int | None = None,
        exclusive: bool | None = None,
        idempotency_key: str | None = None,
    ) -> "AsyncJob":
        options = {
            "seed": seed,
            "name": name,
            "tags": list(tags) or None,
            "priority": priority,
            "time_limit_seconds": time_limit_seconds,
            "gpus": gpus,
            "gpu_memory_bytes": gpu_memory_bytes,
            "exclusive": exclusive,
        }
        return AsyncJob(
            self, await self._driver.run(self._operations.submit(experiment, spec, idempotency_key, **options))
        )

    async def dry_run(
        self, experiment: str, spec: Mapping[str, Any] | BaseModel | None = None, **options: Any
    ) -> DryRunRead:
        return await self._driver.run(self._operations.dry_run(experiment, spec, **options))

    async def estimate(
        self,
        experiment: str,
        spec: Mapping[str, Any] | BaseModel | None = None,
        *,
        gpus: Sequence[str] = (),
        timeout_seconds: float = 60.0,
    ) -> EstimateRead:
        return await self._driver.run(self._operations.estimate(experiment, spec, gpus, timeout_seconds))

    async def estimate_accuracy(self) -> AccuracyRead:
        return await self._driver.run(self._operations.estimate_accuracy())

    async def job(self, job_id: UUID | str) -> "AsyncJob":
        return AsyncJob(self, *await self._driver.run(self._operations.job(job_id)))

    async def jobs(
        self,
        *,
        state: str | Sequence[str] | None = None,
        experiment: str | None = None,
        owner: str | None = None,
        tag: str | None = None,
        text: str | None = None,
        study: UUID | str | None = None,
        limit: int | None = None,
    ) -> AsyncIterator["AsyncJob"]:
        filters = {"state": state, "experiment": experiment, "owner": owner, "tag": tag, "text": text, "study": study}
        async for summary in self._driver.walk(self._operations.jobs(limit, **filters)):
            yield AsyncJob(self, summary)

    async def submit_study(
        self,
        template: str | None = None,
        *,
        scale: str | None = None,
        experiment: str | None = None,
        base: Mapping[str, Any] | None = None,
        grid: Mapping[str, Sequence[Any]] | None = None,
        seeds: Sequence[int] | None = None,
        fresh: bool = False,
        name: str | None = None,
        priority: str | None = None,
        idempotency_key: str | None = None,
    ) -> "AsyncStudy":
        order = {
            "template": template,
            "scale": scale,
            "experiment": experiment,
            "base": None if base is None else dict(base),
            "grid": None if grid is None else {field: list(values) for field, values in grid.items()},
            "seeds": None if seeds is None else list(seeds),
            "fresh": fresh or None,
            "name": name,
            "priority": priority,
        }
        return AsyncStudy(self, await self._driver.run(studies.submit(self._operations, idempotency_key, **order)))

    async def study(self, study_id: UUID | str) -> "AsyncStudy":
        return AsyncStudy(self, *await self._driver.run(studies.get(self._operations, study_id)))

    async def studies(self, *, limit: int | None = None) -> AsyncIterator["AsyncStudy"]:
        async for summary in self._driver.walk(studies.pages(self._operations, limit)):
            yield AsyncStudy(self, summary)

    async def experiments(self) -> list[ExperimentSummary]:
        return await self._driver.run(self._operations.experiments())

    async def experiment(self, slug: str) -> ExperimentDetail:
        return await self._driver.run(self._operations.experiment(slug))

    async def nodes(self) -> list[NodeRead]:
        return await self._driver.run(self._operations.nodes())

    async def node_events(self, name: str) -> list[NodeEventRead]:
        return await self._driver.run(self._operations.node_events(name))

    async def drain_node(self, name: str, reason: str | None = None) -> NodeRead:
        return await self._driver.run(self._operations.drain_node(name, reason))

    async def undrain_node(self, name: str) -> NodeRead:
        return await self._driver.run(self._operations.undrain_node(name))

    async def make_node_token(self, name: str) -> NodeTokenRead:
        return await self._driver.run(self._operations.make_node_token(name))

    async def revoke_node_tokens(self, name: str) -> RevokedRead:
        return await self._driver.run(self._operations.revoke_node_tokens(name))

    async def me(self) -> MeRead:
        return await self._driver.run(self._operations.me())

    def stream(
        self, last_event_id: str | None = None, *, patience_seconds: float = following.PATIENCE_SECONDS
    ) -> AsyncIterator[Change]:
        return self._driver.walk(following.listen("/v1/stream", last_event_id, patience_seconds))

    async def close(self) -> None:
        await self._driver.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


@documented_as(Job)
class AsyncJob(JobView):
    """`Job` for asyncio. A job from a list must be refreshed before its spec and result can be read."""

    def __init__(self, client: AsyncClient, data: JobSummary | JobRead, etag: str | None = None) -> None:
        super().__init__(data, etag)
        self._client = client
        self._driver = client._driver
        self._operations = client._operations

    async def refresh(self, *, wait_seconds: float = 0, patience_seconds: float | None = None) -> "AsyncJob":
        self._see(await self._driver.run(self._operations.refresh(self.id, self._etag, wait_seconds, patience_seconds)))
        return self

    async def wait(
        self,
        timeout: float | None = None,  # noqa: ASYNC109 - it raises WaitTimeout, as in the sync client
        on_change: "Callable[[AsyncJob], object] | None" = None,
        *,
        patience_seconds: float = following.PATIENCE_SECONDS,
    ) -> "AsyncJob":
        async for seen in self._driver.walk(following.wait_until_final(self.id, timeout, patience_seconds)):
            self._see(seen)
            if on_change is not None and inspect.isawaitable(asked := on_change(self)):
                await asked
        return self

    async def live(
        self,
        timeout: float | None = None,  # noqa: ASYNC109 - it raises WaitTimeout, as in the sync client
        *,
        patience_seconds: float = following.PATIENCE_SECONDS,
    ) -> None:
        display = notebook.Display()
        async for seen in self._driver.walk(notebook.follow_job(self.id, timeout, patience_seconds)):
            self._see(seen.snapshot)
            display.show(seen.card, repr(self))

    async def metrics(
        self,
        names: Iterable[str] | None = None,
        *,
        after_step: int | None = None,
        max_points: int | None = None,
        since: Metrics | None = None,
    ) -> Metrics:
        return await self._driver.run(self._operations.metrics(self.id, names, after_step, max_points, since))

    async def samples(self, *, max_points: int | None = None) -> Samples:
        return await self._driver.run(self._operations.samples(self.id, max_points))

    def logs(self, follow: bool = False, *, offset: int = 0) -> AsyncIterator[str]:
        return self._driver.walk(following.read_logs(self.id, follow, offset, following.PATIENCE_SECONDS))

    async def events(self) -> list[EventRead]:
        return await self._driver.run(self._operations.events(self.id))

    async def artifacts(self) -> list[ArtifactRead]:
        return await self._driver.run(self._operations.artifacts(self.id))

    async def download(
        self, name: str, to: str | Path = ".", *, on_progress: Callable[[int], object] | None = None
    ) -> Path:
        return await self._driver.run(downloads.download(self._operations, self.id, name, Path(to), on_progress))

    async def queue(self) -> QueueRead:
        return await self._driver.run(self._operations.queue(self.id))

    def stream(
        self, last_event_id: str | None = None, *, patience_seconds: float = following.PATIENCE_SECONDS
    ) -> AsyncIterator[Change]:
        return self._driver.walk(following.listen(job_path(self.id, "stream"), last_event_id, patience_seconds))

    async def cancel(self) -> "AsyncJob":
        self._see((await self._driver.run(self._operations.cancel(self.id)), None))
        return self

    async def retry(self) -> "AsyncJob":
        return AsyncJob(self._client, await self._driver.run(self._operations.retry(self.id)))
