"""What tests of the API put into the database: users, nodes, and jobs in the states they need."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import Engine, func, insert, select, text, update

from api.auth.token_secrets import digest_of, new_token
from api.jobs import statements as jobs
from api.users import statements as users
from gpulab.states import FailureCause, JobState, Role, WaitReason
from models import (
    Artifact,
    Base,
    BrowserSession,
    Gpu,
    Job,
    JobEvent,
    LogChunk,
    MetricChunk,
    Phase,
    SampleChunk,
    Token,
    User,
)
from models.statements import leases, nodes, queue, series, shipping, usage

NODE = "node-1"
ORDER = {"experiment": "dropout-linear", "spec": {"dropout": 0.5}}


async def comes_to(ask: Callable[[], Awaitable[httpx.Response]], status: int) -> httpx.Response:
    """Ask until the answer has that status: what was changed behind the API's back is heard a moment later."""
    async with asyncio.timeout(15):
        while (answer := await ask()).status_code != status:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
    return answer


@dataclass(frozen=True)
class SeededUser:
    id: UUID
    name: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


@dataclass
class Seeds:
    """Writes to the database beside the API."""

    engine: Engine
    tokens: dict[UUID, UUID] = field(default_factory=dict)
    """Job to the token of its live lease."""

    def user(self, name: str, role: Role = Role.ADMIN, *, expires_at: datetime | None = None) -> SeededUser:
        token = new_token()
        with self.engine.begin() as connection:
            user_id = connection.execute(users.ensure_user(name, role.value)).scalar_one()
            connection.execute(
                insert(Token).values(user_id=user_id, name="test", digest=digest_of(token), expires_at=expires_at)
            )
        return SeededUser(user_id, name, token)

    def revoke(self, user: SeededUser) -> None:
        with self.engine.begin() as connection:
            connection.execute(update(Token).where(Token.digest == digest_of(user.token)).values(revoked_at=func.now()))

    def expire(self, token_id: UUID) -> None:
        """End a token as time does."""
        with self.engine.begin() as connection:
            connection.execute(update(Token).where(Token.id == token_id).values(expires_at=long_ago()))

    def expire_sessions(self) -> None:
        with self.engine.begin() as connection:
            connection.execute(update(BrowserSession).values(expires_at=long_ago()))

    def promote(self, *users: SeededUser) -> None:
        with self.engine.begin() as connection:
            names = [user.name for user in users]
            connection.execute(update(User).where(User.name.in_(names)).values(role=Role.ADMIN.value))

    def node(self, name: str = NODE, **values: Any) -> None:
        described = {"slots": 2, "datasets": [], "versions": {}, "gpu_reason": "no NVIDIA driver", **values}
        with self.engine.begin() as connection:
            connection.execute(nodes.join({"name": name, **described}))

    def gpu(self, uuid: str, index: int = 0) -> None:
        described = {"name": "Test GPU", "memory_total_bytes": 1000, "healthy": True, "reason": None, "latest": {}}
        self._insert(Gpu, uuid=uuid, node=NODE, index=index, **described)

    def job(self, owner: SeededUser, **values: Any) -> UUID:
        given = {
            "owner_id": owner.id,
            "idempotency_key": None,
            "request_digest": None,
            "experiment": "dropout-linear",
            "spec": {},
            "seed": 0,
            "name": None,
            "tags": [],
            "priority": "normal",
            "time_limit_seconds": 60,
            "gpus": 0,
            "gpu_memory_bytes": None,
            "exclusive": False,
            "datasets": [],
            **values,
        }
        with self.engine.begin() as connection:
            row = connection.execute(jobs.submit(given, actor=f"user:{owner.name}")).one()
            job_id: UUID = row.id
        return job_id

    def lease(self, job_id: UUID, *, gpu_uuids: tuple[str, ...] = (), reserved_bytes: int | None = None) -> UUID:
        statement = leases.grant(
            job_id, node=NODE, gpu_uuids=gpu_uuids, reserved_bytes=reserved_bytes, lease_seconds=60
        )
        with self.engine.begin() as connection:
            token: UUID = connection.execute(statement).one().token
        self.tokens[job_id] = token
        return token

    def run(self, job_id: UUID) -> None:
        token = self.lease(job_id)
        with self.engine.begin() as connection:
            connection.execute(leases.claim(job_id, token, actor=f"node:{NODE}", lease_seconds=60)).one()

    def conclude(self, job_id: UUID, result: Any) -> None:
        """Run it to a success with this result."""
        self.run(job_id)
        self.finish(job_id, result=result)

    def finish(
        self,
        job_id: UUID,
        state: JobState = JobState.SUCCEEDED,
        cause: FailureCause | None = None,
        result: Mapping[str, Any] = MappingProxyType({"loss": 1.0}),
    ) -> None:
        kept = dict(result) if state is JobState.SUCCEEDED else None
        message = "it broke" if state is JobState.FAILED else ""
        statement = leases.finish(
            self.tokens[job_id], state, actor=f"node:{NODE}", cause=cause, result=kept, message=message
        )
        with self.engine.begin() as connection:
            connection.execute(statement).one()

    def tell(self, job_id: UUID, reason: WaitReason, words: str, *, used: dict[UUID, float]) -> None:
        """What the scheduler writes of those who wait."""
        with self.engine.begin() as connection:
            connection.execute(queue.explain([(job_id, reason, words)]))
            connection.execute(usage.keep_shares({user: (seconds, 1.0) for user, seconds in used.items()}))

    def describe(self, job_id: UUID, **values: Any) -> None:
        """A change that has a version and no event, as the shipper makes it."""
        with self.engine.begin() as connection:
            connection.execute(shipping.describe(job_id, **values))

    def notify(self, channel: str, payload: str) -> None:
        with self.engine.begin() as connection:
            connection.execute(text("SELECT pg_notify(:channel, :payload)"), {"channel": channel, "payload": payload})

    def metric(self, job_id: UUID, name: str, steps: list[int], values: list[float]) -> None:
        times = [1000.0 + step for step in steps]
        self._insert(MetricChunk, job_id=job_id, attempt=1, name=name, steps=steps, times=times, values=values)

    def shorten_metrics(self, job_id: UUID, after_time: float) -> None:
        """As a later attempt does, which goes on from a checkpoint of that time."""
        with self.engine.begin() as connection:
            connection.execute(series.shorten_metrics(job_id, after_time))
            connection.execute(series.drop_empty_metrics(job_id))

    def samples(self, job_id: UUID, source: str, values: dict[str, list[Any]], **more: Any) -> None:
        count = len(next(iter(values.values())))
        times = more.pop("times", [1000.0 + i for i in range(count)])
        given = {"gpu_uuid": None, "reasons": {}, "attempt": 1, **more}
        self._insert(SampleChunk, job_id=job_id, source=source, times=times, values=values, **given)

    def phase(self, job_id: UUID, name: str, time: float) -> None:
        self._insert(Phase, job_id=job_id, attempt=1, time=time, name=name)

    def log(self, job_id: UUID, start: int, data: bytes) -> None:
        self._insert(LogChunk, job_id=job_id, start=start, attempt=1, data=data)

    def artifact(self, job_id: UUID, name: str, key: str, data: bytes, digest: str) -> None:
        self._insert(
            Artifact,
            job_id=job_id,
            name=name,
            attempt=1,
            key=key,
            size_bytes=len(data),
            sha256=digest,
            media_type="text/plain",
        )

    def state_of_everything(self) -> tuple[Any, ...]:
        """What refused requests must leave as it was."""
        with self.engine.begin() as connection:
            rows = connection.execute(select(Job.id, Job.state, Job.version).order_by(Job.id)).all()
            events = connection.execute(select(func.count()).select_from(JobEvent)).scalar_one()
            drained = connection.execute(text("SELECT name, draining FROM nodes ORDER BY name")).all()
        return tuple(rows), events, tuple(drained)

    def every_row(self) -> set[str]:
        """Each row of each table, as text."""
        with self.engine.begin() as connection:
            return {
                f"{table.name} {row}"
                for table in Base.metadata.sorted_tables
                for (row,) in connection.execute(text(f"SELECT t::text FROM {table.name} t"))  # noqa: S608
            }

    def _insert(self, table: type[Any], **values: Any) -> None:
        with self.engine.begin() as connection:
            connection.execute(insert(table).values(**values))


def body(**changes: Any) -> bytes:
    """A submission's body with changes."""
    return json.dumps({**ORDER, **changes}).encode()


def long_ago() -> datetime:
    return datetime(2000, 1, 1, tzinfo=UTC)
