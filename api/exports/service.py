"""All that a user has, as one zip: what of it is in it, and what is left out and why."""

import csv
import io
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import IO, Any
from uuid import UUID

import orjson
import structlog
from obstore.exceptions import BaseError as StoreError
from pydantic import BaseModel

from api.answers import service as answers
from api.answers.rules import is_answer
from api.audit import statements as audit
from api.auth.principal import Principal
from api.context import App
from api.exports import statements
from api.exports.archive import Archive
from api.grades.released import own_grades
from api.http.problems import Forbidden, UserNotFound
from api.jobs import service as jobs
from api.jobs import statements as job_statements
from api.results.files import shows_answers
from api.sql.database import Row
from experiments.studies.report_job import SLUG as REPORT
from gpulab.schemas import JobRead
from models.tables.program import store_key

RUNS_PAGE = 10
CHUNKS_PAGE = 4
"""Of metrics or output. A chunk may be several MiB of text, and the points of one take many times that in memory."""
PIECE_BYTES = 256 * 1024
WAIT_SECONDS = 30.0
SECONDS = 60.0
BYTES_PER_SECOND = 1_000_000
OVER_LIMIT = "the files of one export may take this many bytes in all"
HELD_BACK = "it shows correct answers, which the lab shows after the deadline"
MISSING = "the lab no longer has it"
README = """All that the lab has of you.

profile.json      name, address, role
runs.ndjson       a line for each run: spec, result, note, times
metrics.csv       what the runs recorded
output/           what the runs printed
files/            files of the runs
programs/         your own code, as tar files; programs.json lists them
courses.json      courses that you are in or ran something for
studies.json, submissions.json, grades.json
manifest.json     what is in here, and what was left out
"""

log = structlog.get_logger()


async def check(app: App, principal: Principal, user_id: UUID) -> Row:
    """The user's profile. Users export themselves, admins anybody. Raises `UserNotFound`, `Forbidden`."""
    own = principal.id == user_id
    row = await app.database.row(statements.profile, user_id=user_id) if own or principal.sees_all else None
    if row is None:
        raise UserNotFound(f"no user that you can see has the id {user_id}")
    if not (own or principal.is_admin):
        raise Forbidden("only admins export the data of others")
    return row


async def recorded(app: App, principal: Principal, user_id: UUID) -> None:
    """An event of the audit: somebody took the data with them."""
    await app.database.execute(audit.note, origin=principal.origin, action="user.exported", target=f"user:{user_id}")


def turn(app: App) -> AbstractAsyncContextManager[None]:
    """Raises `Busy` where the user, or the lab, has too many exports under way."""
    return app.export_turns.taken(wait_seconds=WAIT_SECONDS)


def seconds(app: App) -> float:
    """Time limit for reading the whole export. A slower reader would keep the turn from others."""
    return SECONDS + app.settings.max_export_bytes / BYTES_PER_SECOND


async def opened(app: App, principal: Principal, profile: Row) -> AsyncGenerator[bytes]:
    """The zip, in pieces."""
    export = _Export(app, principal, profile.id, await answers.holding(app, principal), Archive())
    return export.pieces(profile)


@dataclass
class _Export:
    app: App
    principal: Principal
    user_id: UUID
    held: Sequence[Row]
    """Assignments that hold answers back from the reader."""
    archive: Archive
    left_out: list[dict[str, Any]] = field(default_factory=list)
    file_bytes: int = 0

    async def pieces(self, profile: Row) -> AsyncGenerator[bytes]:
        await self._add("README.txt", README)
        await self._add("profile.json", profile._asdict())
        runs: list[UUID] = []
        async for piece in self._runs(runs):
            yield piece
        for part in (self._metrics(runs), self._output(runs), self._lists(), self._programs(), self._files(runs)):
            async for piece in part:
                yield piece
        about = {
            "made_at": datetime.now(UTC),
            "user_id": self.user_id,
            "max_file_bytes": self.app.settings.max_export_bytes,
            "files": [*self.archive.names, "manifest.json"],
            "left_out": self.left_out,
        }
        await self._add("manifest.json", about)
        self.archive.close()
        yield self.archive.taken()

    async def _runs(self, found: list[UUID]) -> AsyncIterator[bytes]:
        """Their ids are written into `found`."""
        before: UUID | None = None
        with self.archive.member("runs.ndjson") as file:
            while True:
                given = {} if before is None else {"before": before}
                rows = await self.app.database.rows(
                    job_statements.whole_page, owner_id=self.user_id, limit=RUNS_PAGE, **given
                )
                if not rows:
                    break
                await self.app.heavy.run(self._write_runs, file, rows)
                found += [row.id for row in rows]
                before = rows[-1].id
                yield self.archive.taken()

    def _write_runs(self, file: IO[bytes], rows: Sequence[Row]) -> None:
        for row in rows:
            job: JobRead = jobs.whole(row)
            shown = answers.stripped(job) if self._is_held(job.experiment) else job
            file.write(shown.model_dump_json().encode() + b"\n")

    async def _metrics(self, runs: Sequence[UUID]) -> AsyncIterator[bytes]:
        with self.archive.member("metrics.csv") as file:
            file.write(b"job_id,name,step,time,value\r\n")
            for start in range(0, len(runs), RUNS_PAGE):
                of = list(runs[start : start + RUNS_PAGE])
                for run in await self.app.database.rows(statements.with_metrics, job_ids=of):
                    async for piece in self._metrics_of(run, file):
                        yield piece

    async def _metrics_of(self, run: Row, file: IO[bytes]) -> AsyncIterator[bytes]:
        name, after, hides = "", 0, self._is_held(run.experiment)
        while chunks := await self.app.database.rows(
            statements.metrics, job_id=run.id, after_name=name, after=after, limit=CHUNKS_PAGE
        ):
            name, after = chunks[-1].name, chunks[-1].id
            shown = [one for one in chunks if not (hides and is_answer(one.name))]
            await self.app.heavy.run(_write_points, file, run.id, shown)
            yield self.archive.taken()

    async def _output(self, runs: Sequence[UUID]) -> AsyncIterator[bytes]:
        for start in range(0, len(runs), RUNS_PAGE):
            of = list(runs[start : start + RUNS_PAGE])
            for row in await self.app.database.rows(statements.with_output, job_ids=of):
                if row.experiment == REPORT and self.held:
                    continue
                with self.archive.member(f"output/{row.id}.log") as file:
                    after = 0
                    while pieces := await self.app.database.rows(
                        statements.output, job_id=row.id, after=after, limit=CHUNKS_PAGE
                    ):
                        await self.app.heavy.run(_write_pieces, file, pieces)
                        after = pieces[-1].start + len(pieces[-1].data)
                        yield self.archive.taken()

    async def _lists(self) -> AsyncIterator[bytes]:
        database = self.app.database
        lists = {
            "courses": statements.courses,
            "studies": statements.studies,
            "submissions": statements.submissions,
        }
        for name, statement in lists.items():
            rows = await database.rows(statement, user_id=self.user_id)
            await self._add(f"{name}.json", [row._asdict() for row in rows])
        released = await database.rows(statements.released_assignments)
        grades = await own_grades(self.app, self.user_id, released)
        names = {one.id: one.name for one in released}
        await self._add(
            "grades.json", [{"assignment_id": of, "assignment": names[of], **dict(one)} for of, one in grades.items()]
        )
        yield self.archive.taken()

    async def _programs(self) -> AsyncIterator[bytes]:
        rows = await self.app.database.rows(statements.programs, user_id=self.user_id)
        await self._add("programs.json", [row._asdict() for row in rows])
        for row in rows:
            async for piece in self._stored(f"programs/{row.sha256}.tar", store_key(row.sha256), row.size_bytes):
                yield piece

    async def _files(self, runs: Sequence[UUID]) -> AsyncIterator[bytes]:
        for start in range(0, len(runs), RUNS_PAGE):
            for row in await self.app.database.rows(statements.files, job_ids=list(runs[start : start + RUNS_PAGE])):
                name = f"files/{row.job_id}/{row.name}"
                if self._is_held(row.experiment) and shows_answers(row.experiment, row):
                    self._leave_out(name, row.size_bytes, HELD_BACK)
                    continue
                async for piece in self._stored(name, row.key, row.size_bytes):
                    yield piece

    async def _stored(self, name: str, key: str, size_bytes: int) -> AsyncIterator[bytes]:
        """A file of the object store, as long as there is room."""
        if self.file_bytes + size_bytes > self.app.settings.max_export_bytes:
            self._leave_out(name, size_bytes, OVER_LIMIT)
            return
        try:
            content = await self.app.store.get_async(key)
        except (FileNotFoundError, StoreError) as error:
            log.warning("export.file_missing", key=key, reason=type(error).__name__)
            self._leave_out(name, size_bytes, MISSING)
            return
        self.file_bytes += size_bytes
        # Images and weights are compressed already.
        with self.archive.member(name, compressed=False) as file:
            async for piece in content.stream(min_chunk_size=PIECE_BYTES):
                file.write(bytes(piece))
                yield self.archive.taken()

    def _is_held(self, experiment: str) -> bool:
        if not self.held or not answers.tells(experiment):
            return False
        return experiment == REPORT or answers.first(self.held, experiments=[experiment]) is not None

    def _leave_out(self, name: str, size_bytes: int, reason: str) -> None:
        self.left_out.append({"name": name, "size_bytes": size_bytes, "reason": reason})

    async def _add(self, name: str, content: Any) -> None:
        """A text, or what becomes JSON. Here as elsewhere, writing and packing are no work for the event loop."""
        await self.app.heavy.run(lambda: self.archive.add(name, _encoded(content)))


def _write_points(file: IO[bytes], job_id: UUID, chunks: Sequence[Row]) -> None:
    for chunk in chunks:
        text = io.StringIO()
        write = csv.writer(text).writerow
        for point in zip(chunk.steps, chunk.times, chunk.values, strict=True):
            write((job_id, chunk.name, *point))
        file.write(text.getvalue().encode())


def _write_pieces(file: IO[bytes], pieces: Sequence[Row]) -> None:
    for piece in pieces:
        file.write(piece.data)


def _encoded(content: Any) -> bytes:
    if isinstance(content, str):
        return content.encode()
    return orjson.dumps(content, default=_plain, option=orjson.OPT_INDENT_2)


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value)
