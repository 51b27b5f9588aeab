"""The few rows that most tests begin with."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine

from api.jobs import statements as jobs
from api.users import statements as users
from models.statements import leases, nodes


@pytest.fixture
def execute(engine: Engine) -> Callable[..., list[Any]]:
    """Run one statement in a transaction of its own; returns its rows as mappings."""

    def run(statement: Any, values: Any = None) -> list[Any]:
        with engine.begin() as connection:
            answer = connection.execute(statement, values)
            return list(answer.mappings()) if answer.returns_rows else []

    return run


@pytest.fixture
def owner(execute: Callable[..., list[Any]]) -> UUID:
    found: UUID = execute(users.ensure_user("someone", "student"))[0]["id"]
    return found


@pytest.fixture
def make_job(execute: Callable[..., list[Any]], owner: UUID) -> Callable[..., UUID]:
    """A queued job; only what matters need be given."""

    def make(**given: Any) -> UUID:
        values = {
            "owner_id": owner,
            "experiment": "probe",
            "spec": {},
            "seed": 0,
            "tags": [],
            "priority": "normal",
            "time_limit_seconds": 60,
            "gpus": 0,
            "exclusive": False,
            "datasets": [],
            **given,
        }
        found: UUID = execute(jobs.submit(values, actor="user:someone"))[0]["id"]
        return found

    return make


@pytest.fixture
def node(execute: Callable[..., list[Any]]) -> str:
    execute(nodes.join({"name": "n1", "slots": 2, "datasets": [], "versions": {}, "gpu_reason": "none"}))
    return "n1"


@pytest.fixture
def make_lease(execute: Callable[..., list[Any]], make_job: Callable[..., UUID], node: str) -> Callable[..., Any]:
    """A job leased to the node: its id and token; claimed unless told otherwise."""

    def make(*, claimed: bool = True, job_id: UUID | None = None, lease_seconds: float = 60) -> tuple[UUID, UUID]:
        job = job_id or make_job()
        row = execute(leases.grant(job, node=node, gpu_uuids=[], reserved_bytes=None, lease_seconds=lease_seconds))[0]
        if claimed:
            assert execute(leases.claim(job, row["token"], actor="node:n1", lease_seconds=lease_seconds))
        return job, row["token"]

    return make
