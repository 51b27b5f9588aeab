"""Statements are composed once for every set of arguments, and run with their values by name."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Select, func, literal, select, update
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from api.sql.database import sql_of
from gpulab.states import JobState
from models.composed import run, statement
from models.tables.job import Job

composed: list[str] = []


@statement
def of_owner(owner_id: UUID, *, limit: int, experiment: str | None = None) -> Select[Any]:
    composed.append("of_owner")
    found = select(Job.id).where(Job.owner_id == owner_id, Job.state.in_(["queued", "leased"]))
    if experiment is not None:
        found = found.where(Job.experiment == experiment)
    return found.limit(limit)


@statement(shape=("state",))
def counted(state: JobState, node: str | None) -> Select[Any]:
    composed.append(f"counted {state.value}")
    return select(func.count()).where(Job.state == state.value, Job.node.is_not_distinct_from(node))


@statement(anew=True)
def changed(job_id: UUID, values: Mapping[str, Any]) -> Any:
    composed.append("changed")
    return update(Job).where(Job.id == job_id).values(**values)


@statement
def moved(name: str) -> Any:
    """Its argument has the name of a column."""
    return update(Job).where(Job.name == name).values(node=literal("n1"))


@pytest.fixture(autouse=True)
def _fresh() -> None:
    composed.clear()
    for one in (of_owner, counted, changed, moved):
        one._composed.clear()


def test_statement_is_composed_once_for_each_set_of_arguments() -> None:
    for _ in range(3):
        of_owner.composed({"owner_id": uuid4(), "limit": 5})
        of_owner.composed({"owner_id": uuid4(), "limit": 9, "experiment": "a"})
        of_owner.composed({"owner_id": uuid4(), "limit": 9, "experiment": None})
    assert composed == ["of_owner", "of_owner"]


def test_none_is_left_out_only_where_an_argument_may_be() -> None:
    assert of_owner.values({"owner_id": 1, "limit": 2, "experiment": None}) == {"given_owner_id": 1, "given_limit": 2}
    assert counted.values({"state": JobState.QUEUED, "node": None}) == {"given_node": None}


def test_arguments_of_the_shape_are_part_of_the_sql() -> None:
    for state in (JobState.QUEUED, JobState.RUNNING, JobState.QUEUED):
        assert state.value in sql_of(counted, state=state, node="n").values.values()
    assert composed == ["counted queued", "counted running"]


def test_what_is_composed_anew_holds_its_values() -> None:
    first = sql_of(changed, job_id=uuid4(), values={"message": "a"})
    second = sql_of(changed, job_id=uuid4(), values={"node": "b"})
    assert ("message" in first.sql, "node" in second.sql) == (True, True)
    assert composed == ["changed", "changed"]


def test_argument_with_the_name_of_a_column_changes_no_column() -> None:
    compiled = moved.composed({"name": "x"}).compile(
        dialect=PGDialect_psycopg(), column_keys=list(moved.values({"name": "x"}))
    )
    assert str(compiled).partition("WHERE")[0].count("=") == 1


def test_text_for_the_driver_has_the_values_of_this_call() -> None:
    one, two = (sql_of(of_owner, owner_id=UUID(int=number), limit=number) for number in (1, 2))
    assert one.sql == two.sql
    assert [text.values["given_limit"] for text in (one, two)] == [1, 2]


def test_arguments_without_a_name_are_refused() -> None:
    with pytest.raises(TypeError, match=r"name the arguments of .*of_owner"):
        run(None, of_owner, uuid4(), limit=1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="name the arguments"):
        sql_of(of_owner, uuid4(), limit=1)
