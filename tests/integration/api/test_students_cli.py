"""`gpulab assignments ...` on many students at once, and lists of runs by owner, against the API at a real port."""

from typing import Any

import pytest

from gpulab.states import Role
from tests.integration.api.seeds import SeededUser, Seeds
from tests.integration.api.study_calls import finish
from tests.integration.api.test_users_cli import Terminal, terminal

__all__ = ["terminal"]

HOMEWORK = ("assignments", "create", "Homework", "--deadline", "2999-01-31", "--experiment", "dropout-linear")


@pytest.fixture
def users(seeds: Seeds) -> dict[str, SeededUser]:
    seeds.node()
    return {name: seeds.user(name, Role.STUDENT) for name in ("ann", "ben", "cat")}


async def test_students_that_a_filter_leaves_are_extended_written_to_and_their_waiting_runs_cancelled(
    terminal: Terminal, seeds: Seeds, users: dict[str, SeededUser]
) -> None:
    await terminal(*HOMEWORK)
    finish(seeds, seeds.job(users["ann"]), None)
    seeds.job(users["ben"])
    said = await terminal(
        *("assignments", "extend-students", "Homework", "--deadline", "2999-02-07", "--state", "stuck")
    )
    assert said == "1 student extended\n"
    assert "ann" in await terminal("assignments", "extensions", "Homework")
    assert "2 students can read it" in await terminal(
        *("assignments", "message-students", "Homework", "Office hours at noon", "--user", "ann", "--user", "ben")
    )
    said = await terminal("assignments", "cancel-waiting", "Homework", "-y")
    assert said.splitlines() == [
        "1 run of 1 student cancelled",
        "  has no run that waits: ann, cat",
    ]
    for number in range(11):
        seeds.user(f"dan{number:02d}", Role.STUDENT)
    said = await terminal("assignments", "cancel-waiting", "Homework", "-y", expected=1)
    line = said.splitlines()[1]
    assert line.startswith("  has no run that waits: 14 students: ann, ben, cat, dan00, ")
    assert line.endswith("dan06 and 4 more")
    again: Any = await terminal.json("assignments", "cancel-waiting", "Homework", "--user", "ben", expected=1)
    assert (again["done"], [one["user"] for one in again["not_done"]]) == (0, ["ben"])
    assert "No student matches." in await terminal("assignments", "cancel-waiting", "Homework", "--team", "red")
    assert "has no hidden check" in await terminal("assignments", "check-students", "Homework", expected=3)


async def test_runs_of_somebody_on_an_assignment_are_listed_apart_from_earlier_ones(
    terminal: Terminal, seeds: Seeds, users: dict[str, SeededUser]
) -> None:
    before = seeds.job(users["ann"])
    await terminal(*HOMEWORK)
    since = seeds.job(users["ann"])
    only = ("jobs", "--owner", "ann", "--work-on", "Homework")
    assert [one["id"] for one in (await terminal.json(*only))["items"]] == [str(since)]
    assert [one["id"] for one in (await terminal.json(*only, "--earlier"))["items"]] == [str(before)]
    assert "did you mean ann?" in await terminal("jobs", "--owner", "an", expected=2)
    assert "0 of 0 runs" in await terminal("jobs", "--owner", "cat")
    assert "--work-on" in await terminal("jobs", "--earlier", expected=2)
