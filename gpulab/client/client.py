"""The client of a lab."""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import httpx
from pydantic import BaseModel

from gpulab.client import following
from gpulab.client.courses import Courses
from gpulab.client.events import Change
from gpulab.client.job import Job
from gpulab.client.notifications import Notifications
from gpulab.client.programs import Programs
from gpulab.client.study import Study
from gpulab.client.submission import Moment, given, key_header, plain, plain_spec, submission
from gpulab.client.transport.connection import resolve
from gpulab.client.transport.http import READ_TIMEOUT_SECONDS, Http, path_of
from gpulab.client.users import Users
from gpulab.schemas import (
    AccuracyRead,
    DiskRead,
    DryRunRead,
    EnvironmentPage,
    EnvironmentRead,
    EstimateRead,
    EstimateState,
    ExperimentDetail,
    ExperimentPage,
    ExperimentSummary,
    JobGroupsRead,
    JobPage,
    JobRead,
    JobTableRead,
    LabErrorPage,
    LabErrorRead,
    LabHoursList,
    LabHoursRead,
    LabQueueRead,
    MeRead,
    NodeEventPage,
    NodeEventRead,
    NodeHistoryRead,
    NodePage,
    NodeRead,
    NodeTokenRead,
    QuestionSetPage,
    QuestionSetRead,
    RevokedRead,
    StudyPage,
    StudyRead,
    TimelineRead,
)
from gpulab.schemas.notifications import BannerPage, BannerRead

TABLE_PAGE = 200
"""Rows of one page of the table of runs; the lab sends no more."""
HELD_SECONDS = 20.0
"""How long one request for an estimate is held."""


class Client:
    """A connection to the lab. Usable as a context manager, and from several threads.

    `url` defaults to `GPULAB_URL`, then to the lab of `gpulab sign-in`, then to this machine; `token` to
    `GPULAB_TOKEN`, then to the token file (`GPULAB_TOKEN_FILE`, then `~/.config/gpulab/token`). While the lab is away,
    calls that are safe to repeat are tried for `retry_seconds`. Raises ConfigurationError for a bad url or token.
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
        self._http = Http(connection, retry_seconds, transport)
        self.users = Users(self._http)
        """Users, tokens, the class and its assignments."""
        self.courses = Courses(self._http)
        """Classes that share the lab."""
        self.programs = Programs(self._http)
        """Your own code."""
        self.notifications = Notifications(self._http)
        """What the lab sends you by mail and webhook."""

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
        course_id: UUID | str | None = None,
        idempotency_key: str | None = None,
    ) -> Job:
        """Queue one run and return its job.

        A lost answer does not queue it twice: each call has its own key and may be sent again. Give
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
            "course_id": course_id,
        }
        body = submission(experiment, spec, options)
        answer = self._http.send("POST", path_of("jobs"), headers=key_header(idempotency_key), body=body)
        return Job(self._http, self._http.parse(JobRead, answer))

    def run(
        self,
        target: str | Path,
        *arguments: str,
        command: Sequence[str] | None = None,
        parameters: Mapping[str, Any] | None = None,
        datasets: Sequence[str] = (),
        **options: Any,
    ) -> Job:
        """Queue a run of your own code and return its job.

        `target` is a script, a notebook, or a folder with the `command` that runs it. `arguments` follow the command;
        `parameters` become `--name value` of a script and variables of a notebook. `options` are those of `submit`.
        Files are sent only if the lab has them not. Raises ConfigurationError for what cannot be sent, InvalidRequest.
        """
        prepared = self.programs.prepare(target, *arguments, command=command, parameters=parameters, datasets=datasets)
        return self.submit(*prepared, **options)

    def dry_run(self, experiment: str, spec: Mapping[str, Any] | BaseModel | None = None, **options: Any) -> DryRunRead:
        """Validate a submission without queueing it; takes the options of `submit`."""
        body = submission(experiment, spec, options)
        answer = self._http.send("POST", path_of("jobs"), query={"dry_run": "true"}, headers=key_header(), body=body)
        return self._http.parse(DryRunRead, answer)

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
        body = {"experiment": experiment, "spec": plain_spec(spec), "gpus": list(gpus)}
        deadline = time.monotonic() + timeout_seconds
        while True:
            left = max(0.0, min(deadline - time.monotonic(), HELD_SECONDS))
            # Asking twice is asking once.
            answer = self._http.send(
                "POST",
                path_of("estimates"),
                query={"wait": f"{left:g}"},
                body=body,
                read_timeout_seconds=left + READ_TIMEOUT_SECONDS,
            )
            found = self._http.parse(EstimateRead, answer)
            if found.state is not EstimateState.PENDING or left <= 0:
                return found

    def estimate_accuracy(self) -> AccuracyRead:
        """How far the lab's predictions were off, by model family and GPU model, and the margins that follow."""
        return self._http.get(AccuracyRead, path_of("estimates", "accuracy"))

    def job(self, job_id: UUID | str) -> Job:
        """One job with everything but its series, logs and files. Raises NotFound."""
        return Job(self._http, *self._http.read(JobRead, path_of("jobs", job_id)))

    def jobs(
        self,
        *,
        state: str | Sequence[str] | None = None,
        experiment: str | None = None,
        owner: str | None = None,
        tag: str | None = None,
        text: str | None = None,
        study: UUID | str | None = None,
        course: str | None = None,
        limit: int | None = None,
    ) -> Iterator[Job]:
        """Jobs, newest first, at most `limit`; fetched page by page while you iterate. `state` may be several."""
        filters = {"state": state, "experiment": experiment, "owner": owner, "tag": tag, "text": text, "study": study}
        filters |= {"course": course}
        return (Job(self._http, summary) for summary in self._http.items(JobPage, path_of("jobs"), limit, **filters))

    def job_table(
        self, columns: Sequence[str] = (), *, sort: Sequence[str] = (), limit: int = 50, **filters: Any
    ) -> JobTableRead:
        """Runs with columns such as `spec.lr`, `result.accuracy` or `metric.loss.min`, sorted by the lab over all runs.

        `sort` takes columns, `-` before one that descends. `filters` are those of `jobs`, and `where`, a list of
        conditions such as `spec.lr>=0.01`. Raises InvalidRequest, whose `errors` say what can be written.
        """
        query = {"columns": list(columns), "sort": list(sort), **filters}
        found = self._http.get(JobTableRead, path_of("job-table"), limit=min(limit, TABLE_PAGE), **query)
        rows, cursor = list(found.items), found.next_cursor
        while cursor is not None and len(rows) < limit:
            size = min(limit - len(rows), TABLE_PAGE)
            page = self._http.get(JobTableRead, path_of("job-table"), limit=size, cursor=cursor, **query)
            rows, cursor = [*rows, *page.items], page.next_cursor
        return found.model_copy(update={"items": rows, "next_cursor": cursor})

    def job_groups(
        self, by: Sequence[str], columns: Sequence[str] = (), *, sort: Sequence[str] = (), **filters: Any
    ) -> JobGroupsRead:
        """Runs grouped by up to three columns, with n, mean, sd, min and max of others. `filters` as in `job_table`."""
        query = {"by": list(by), "columns": list(columns), "sort": list(sort), **filters}
        return self._http.get(JobGroupsRead, path_of("job-table", "groups"), **query)

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
        course_id: UUID | str | None = None,
        idempotency_key: str | None = None,
    ) -> Study:
        """Queue every run of a template (`course/1b`, at a `scale`) or of a grid over an experiment's fields, at once.

        A run of yours that succeeded with the same spec and seed is taken over, unless `fresh`. Raises InvalidRequest,
        whose `errors` name each wrong field.
        """
        body = given(
            template=template,
            scale=scale,
            experiment=experiment,
            base=None if base is None else dict(base),
            grid=None if grid is None else {field: list(values) for field, values in grid.items()},
            seeds=None if seeds is None else list(seeds),
            fresh=fresh or None,
            name=name,
            priority=priority,
            course_id=course_id,
        )
        answer = self._http.send("POST", path_of("studies"), headers=key_header(idempotency_key), body=body)
        return Study(self._http, self._http.parse(StudyRead, answer))

    def study(self, study_id: UUID | str) -> Study:
        """One study with its comparison. Raises NotFound."""
        return Study(self._http, *self._http.read(StudyRead, path_of("studies", study_id)))

    def studies(
        self, *, owner: str | None = None, text: str | None = None, course: str | None = None, limit: int | None = None
    ) -> Iterator[Study]:
        """Studies, newest first, at most `limit`; fetched page by page. `text` is part of a name, title or template."""
        found = self._http.items(StudyPage, path_of("studies"), limit, owner=owner, text=text, course=course)
        return (Study(self._http, summary) for summary in found)

    def question_sets(self) -> list[QuestionSetRead]:
        """The installed question sets, with the templates of their studies."""
        return self._http.get(QuestionSetPage, path_of("question-sets")).items

    def experiments(self) -> list[ExperimentSummary]:
        """The catalogue."""
        return self._http.get(ExperimentPage, path_of("experiments")).items

    def experiment(self, slug: str) -> ExperimentDetail:
        """One experiment with the JSON Schema of its spec and the metrics it records. Raises NotFound."""
        return self._http.get(ExperimentDetail, path_of("experiments", slug))

    def environments(self) -> list[EnvironmentRead]:
        """The Python packages that a program finds; one entry if all nodes are alike."""
        return self._http.get(EnvironmentPage, path_of("environment")).items

    def disk(self) -> DiskRead:
        """Where the disk goes: of the whole lab for admins, else what is yours."""
        return self._http.get(DiskRead, path_of("disk"))

    def banners(self) -> list[BannerRead]:
        """What every page of the dashboard shows on top now."""
        return self._http.get(BannerPage, path_of("banners")).items

    def create_banner(
        self, text: str, *, ends_at: Moment, starts_at: Moment | None = None, course_id: UUID | str | None = None
    ) -> BannerRead:
        """Show the lab or a course a text until it ends. `starts_at` announces a maintenance. For staff."""
        body = plain(text=text, ends_at=ends_at, starts_at=starts_at, course_id=course_id)
        return self._http.change(BannerRead, "POST", path_of("banners"), body)

    def end_banner(self, banner_id: UUID | str) -> None:
        """Show it no longer. For staff."""
        self._http.send("DELETE", path_of("banners", banner_id))

    def queue(self) -> LabQueueRead:
        """How many runs of the whole lab run and wait, your place, and when your next run may start."""
        return self._http.get(LabQueueRead, path_of("queue"))

    def lab_errors(self) -> list[LabErrorRead]:
        """What failed in the lab itself, the last one first. For admins."""
        return self._http.get(LabErrorPage, path_of("errors")).items

    def nodes(self) -> list[NodeRead]:
        """The machines, their GPUs and what is taken."""
        return self._http.get(NodePage, path_of("nodes")).items

    def node_events(self, name: str) -> list[NodeEventRead]:
        """What happened to a machine, newest first. Raises NotFound."""
        return self._http.get(NodeEventPage, path_of("nodes", name, "events")).items

    def node_history(self, name: str, hours: int = 24) -> NodeHistoryRead:
        """How busy the GPUs of a machine were. Raises NotFound."""
        return self._http.get(NodeHistoryRead, path_of("nodes", name, "history"), hours=hours)

    def lab_hours(self) -> list[LabHoursRead]:
        """Lab hours that are not over, the next one first."""
        return self._http.get(LabHoursList, path_of("lab-hours")).items

    def create_lab_hours(self, name: str, start: str, end: str, **fields: Any) -> LabHoursRead:
        """Keep GPUs free, as `POST /v1/lab-hours` takes it. Times are in the lab's time zone. For staff."""
        body = {"name": name, "start": start, "end": end, **fields}
        return self._http.change(LabHoursRead, "POST", path_of("lab-hours"), body)

    def change_lab_hours(self, lab_hours_id: UUID | str, **fields: Any) -> LabHoursRead:
        """Change fields, as `PATCH /v1/lab-hours/{id}` takes them. For staff."""
        return self._http.change(LabHoursRead, "PATCH", path_of("lab-hours", lab_hours_id), fields)

    def cancel_lab_hours(self, lab_hours_id: UUID | str) -> None:
        """Cancel lab hours, with all that are still to come. For staff."""
        self._http.send("DELETE", path_of("lab-hours", lab_hours_id))

    def timeline(self, hours: int = 24) -> TimelineRead:
        """Which run held which GPU, which are expected to start, and how busy the GPUs were."""
        return self._http.get(TimelineRead, path_of("timeline"), hours=hours)

    def drain_node(self, name: str, reason: str | None = None) -> NodeRead:
        """Start no further job on a machine; those that run go on. For admins."""
        answer = self._http.send("POST", path_of("nodes", name, "drain"), body=given(reason=reason))
        return self._http.parse(NodeRead, answer)

    def undrain_node(self, name: str) -> NodeRead:
        """Take a machine into service as it is now, also when the lab had set it aside. For admins."""
        return self._http.parse(NodeRead, self._http.send("POST", path_of("nodes", name, "undrain")))

    def remove_node(self, name: str) -> None:
        """Take a machine that is down off the list, and revoke its tokens. For admins."""
        self._http.send("DELETE", path_of("nodes", name))

    def make_node_token(self, name: str) -> NodeTokenRead:
        """A token that admits a machine of this name; it is shown once. For admins."""
        return self._http.change(NodeTokenRead, "POST", path_of("nodes", name, "token"))

    def revoke_node_tokens(self, name: str) -> RevokedRead:
        """Refuse every token that was made for the machine. For admins."""
        return self._http.parse(RevokedRead, self._http.send("DELETE", path_of("nodes", name, "token")))

    def me(self) -> MeRead:
        """Who the token stands for."""
        return self._http.get(MeRead, path_of("me"))

    def stream(
        self, last_event_id: str | None = None, *, patience_seconds: float = following.TIMEOUT_SECONDS
    ) -> Iterator[Change]:
        """Notices of changes of every visible job, without end; a broken stream goes on where it broke.

        Raises LabUnreachable when the lab stays away for `patience_seconds`.
        """
        return following.listen(self._http, path_of("stream"), last_event_id, patience_seconds)

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
