"""The sync client: `Client` and `Job`. Each method carries out one operation of the modules beside this one."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import UUID

import httpx
from pydantic import BaseModel

from gpulab.client import downloads, following, notebook, studies
from gpulab.client.connection import resolve
from gpulab.client.drivers import Driver
from gpulab.client.events import Change
from gpulab.client.operations import Operations, job_path
from gpulab.client.people import People
from gpulab.client.series import Metrics, Samples
from gpulab.client.study import Study
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


class Client:
    """A connection to the lab. Usable as a context manager, and from several threads.

    `url` defaults to `GPULAB_URL`, then to this machine; `token` to `GPULAB_TOKEN`, then to the token file
    (`GPULAB_TOKEN_FILE`, then `~/.config/gpulab/token`). While the lab is away, calls that are safe to repeat are tried
    for `retry_seconds`. Raises ConfigurationError when url, token or token file cannot be used.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        token_file: str | Path | None = None,
        retry_seconds: float = 10.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        connection = resolve(url, token, token_file)
        self.url = connection.url
        self._operations = Operations(retry_seconds)
        self._driver = Driver(connection, transport)
        self.people = People(self._operations, self._driver)
        """Users, tokens, the class and its assignments."""

    def submit(
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
    ) -> "Job":
        """Queue one run and return its job.

        A lost answer does not queue it twice: each call carries a key of its own and may be sent again. Give
        `idempotency_key` to make that hold over several calls. Raises InvalidRequest, whose `errors` name each wrong
        field with its limit and value.
        """
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
        return Job(self, self._driver.run(self._operations.submit(experiment, spec, idempotency_key, **options)))

    def dry_run(self, experiment: str, spec: Mapping[str, Any] | BaseModel | None = None, **options: Any) -> DryRunRead:
        """Validate a submission without queueing it; takes the options of `submit`."""
        return self._driver.run(self._operations.dry_run(experiment, spec, **options))

    def estimate(
        self,
        experiment: str,
        spec: Mapping[str, Any] | BaseModel | None = None,
        *,
        gpus: Sequence[str] = (),
        timeout_seconds: float = 60.0,
    ) -> EstimateRead:
        """The GPU memory that a run would take, without running it.

        Judged for the lab's GPU models and for those in `gpus`, such as `T4`. Its `state` is `pending` when the lab
        did not answer within `timeout_seconds`. Raises InvalidRequest.
        """
        return self._driver.run(self._operations.estimate(experiment, spec, gpus, timeout_seconds))

    def estimate_accuracy(self) -> AccuracyRead:
        """How far the lab's predictions were off, by model family and GPU model, and the margins that follow."""
        return self._driver.run(self._operations.estimate_accuracy())

    def job(self, job_id: UUID | str) -> "Job":
        """One job with everything but its series, logs and files. Raises NotFound."""
        return Job(self, *self._driver.run(self._operations.job(job_id)))

    def jobs(
        self,
        *,
        state: str | Sequence[str] | None = None,
        experiment: str | None = None,
        owner: str | None = None,
        tag: str | None = None,
        text: str | None = None,
        study: UUID | str | None = None,
        limit: int | None = None,
    ) -> "Iterator[Job]":
        """Jobs, newest first, at most `limit`; fetched page by page while you iterate. `state` may be several."""
        filters = {"state": state, "experiment": experiment, "owner": owner, "tag": tag, "text": text, "study": study}
        for summary in self._driver.walk(self._operations.jobs(limit, **filters)):
            yield Job(self, summary)

    def submit_study(
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
    ) -> "Study":
        """Queue every run of a template (`course/1b`, at a `scale`) or of a grid over an experiment's fields, at once.

        A run of yours that succeeded with the same spec and seed is taken over, unless `fresh`. Raises InvalidRequest,
        whose `errors` name each wrong field.
        """
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
        return Study(self, self._driver.run(studies.submit(self._operations, idempotency_key, **order)))

    def study(self, study_id: UUID | str) -> "Study":
        """One study with its comparison. Raises NotFound."""
        return Study(self, *self._driver.run(studies.get(self._operations, study_id)))

    def studies(self, *, limit: int | None = None) -> "Iterator[Study]":
        """Studies, newest first, at most `limit`; fetched page by page while you iterate."""
        for summary in self._driver.walk(studies.pages(self._operations, limit)):
            yield Study(self, summary)

    def experiments(self) -> list[ExperimentSummary]:
        """The catalogue."""
        return self._driver.run(self._operations.experiments())

    def experiment(self, slug: str) -> ExperimentDetail:
        """One experiment with the JSON Schema of its spec and the metrics it records. Raises NotFound."""
        return self._driver.run(self._operations.experiment(slug))

    def nodes(self) -> list[NodeRead]:
        """The machines, their GPUs and what is taken."""
        return self._driver.run(self._operations.nodes())

    def node_events(self, name: str) -> list[NodeEventRead]:
        """What happened to a machine, newest first. Raises NotFound."""
        return self._driver.run(self._operations.node_events(name))

    def drain_node(self, name: str, reason: str | None = None) -> NodeRead:
        """Start no further job on a machine; those that run go on. For admins."""
        return self._driver.run(self._operations.drain_node(name, reason))

    def undrain_node(self, name: str) -> NodeRead:
        """Take a machine into service as it is now, also when the lab had set it aside. For admins."""
        return self._driver.run(self._operations.undrain_node(name))

    def make_node_token(self, name: str) -> NodeTokenRead:
        """A token that admits a machine of this name; it is shown once. For admins."""
        return self._driver.run(self._operations.make_node_token(name))

    def revoke_node_tokens(self, name: str) -> RevokedRead:
        """Refuse every token that was made for the machine. For admins."""
        return self._driver.run(self._operations.revoke_node_tokens(name))

    def me(self) -> MeRead:
        """Who the token stands for."""
        return self._driver.run(self._operations.me())

    def stream(
        self, last_event_id: str | None = None, *, patience_seconds: float = following.PATIENCE_SECONDS
    ) -> Iterator[Change]:
        """Notices of changes of every visible job, without end; a broken stream goes on where it broke.

        Raises LabUnreachable when the lab stays away for `patience_seconds`.
        """
        return self._driver.walk(following.listen("/v1/stream", last_event_id, patience_seconds))

    def close(self) -> None:
        """Let go of the connections."""
        self._driver.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Job(JobView):
    """A job of the lab: what was last seen of it, and what can be done with it."""

    def __init__(self, client: Client, data: JobSummary | JobRead, etag: str | None = None) -> None:
        super().__init__(data, etag)
        self._client = client
        self._driver = client._driver
        self._operations = client._operations

    def refresh(self, *, wait_seconds: float = 0, patience_seconds: float | None = None) -> "Job":
        """Look again; with `wait_seconds` the lab holds the answer until something changes, at most that long.

        `patience_seconds` is how long a lab that is away is put up with; None means the client's `retry_seconds`.
        """
        self._see(self._driver.run(self._operations.refresh(self.id, self._etag, wait_seconds, patience_seconds)))
        return self

    def wait(
        self,
        timeout: float | None = None,
        on_change: "Callable[[Job], object] | None" = None,
        *,
        patience_seconds: float = following.PATIENCE_SECONDS,
    ) -> "Job":
        """Return when the job is final, `on_change` having been called for every version seen on the way.

        Puts up with a lab that is away for `patience_seconds`, such as during a restart. Raises WaitTimeout after
        `timeout` seconds; the job goes on.
        """
        for seen in self._driver.walk(following.wait_until_final(self.id, timeout, patience_seconds)):
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
        return self._driver.run(self._operations.metrics(self.id, names, after_step, max_points, since))

    def samples(self, *, max_points: int | None = None) -> Samples:
        """The memory and utilisation timeline: host, GPUs, allocator, prediction."""
        return self._driver.run(self._operations.samples(self.id, max_points))

    def logs(self, follow: bool = False, *, offset: int = 0) -> Iterator[str]:
        """What the run printed, in pieces of text; with `follow` until the job is final.

        `offset` is the byte to start from; a negative one counts from the end.
        """
        return self._driver.walk(following.read_logs(self.id, follow, offset, following.PATIENCE_SECONDS))

    def events(self) -> list[EventRead]:
        """The job's history, oldest first."""
        return self._driver.run(self._operations.events(self.id))

    def artifacts(self) -> list[ArtifactRead]:
        """The files the run kept."""
        return self._driver.run(self._operations.artifacts(self.id))

    def download(self, name: str, to: str | Path = ".", *, on_progress: Callable[[int], object] | None = None) -> Path:
        """Fetch one artifact into the folder `to`, made if missing; returns the file's path.

        The file appears under its name only when it is whole and its SHA-256 is right; a broken download goes on where
        it broke, also in a later call. `on_progress` gets the bytes there are so far. Raises DownloadFailed.
        """
        return self._driver.run(downloads.download(self._operations, self.id, name, Path(to), on_progress))

    def queue(self) -> QueueRead:
        """Why the job waits, its place, and what would help."""
        return self._driver.run(self._operations.queue(self.id))

    def stream(
        self, last_event_id: str | None = None, *, patience_seconds: float = following.PATIENCE_SECONDS
    ) -> Iterator[Change]:
        """Notices of changes of this job."""
        return self._driver.walk(following.listen(job_path(self.id, "stream"), last_event_id, patience_seconds))

    def cancel(self) -> "Job":
        """Ask the lab to end the job; it keeps what was recorded. Raises Conflict when the job is final already."""
        self._see((self._driver.run(self._operations.cancel(self.id)), None))
        return self

    def retry(self) -> "Job":
        """Queue the same run again as a new job, linked to this one; returns the new job."""
        return Job(self._client, self._driver.run(self._operations.retry(self.id)))

    def live(self, timeout: float | None = None, *, patience_seconds: float = following.PATIENCE_SECONDS) -> None:
        """Show the job's card in a notebook and keep it up to date until the job is final; elsewhere a line a change.

        Raises WaitTimeout after `timeout` seconds; the job goes on. A lab that is away is put up with for
        `patience_seconds`, and the card says so.
        """
        display = notebook.Display()
        for seen in self._driver.walk(notebook.follow_job(self.id, timeout, patience_seconds)):
            self._see(seen.snapshot)
            display.show(seen.card, repr(self))

    def _loaded(self) -> JobRead:
        if not isinstance(self.data, JobRead):
            self.refresh()
        return super()._loaded()

    def _repr_html_(self) -> str:
        """A card for notebooks, with curves. It looks again where the job is not final."""
        seen = self._driver.run(notebook.job_now(self.data))
        self._see(seen.snapshot)
        return seen.card
