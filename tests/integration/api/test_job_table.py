"""Jobs as a table: every sort, condition and group is computed by the server, over all jobs that may be seen."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import Select, func, select, update

from gpulab.schemas import FieldsRead, JobGroupsRead, JobTableRead
from gpulab.states import Role
from models import Job
from models.composed import statement
from tests.integration.api.seeds import SeededUser, Seeds
from tests.integration.api.study_calls import finish

TABLE = "/v1/job-table"
VALUES: list[Any] = [0.3, None, 2, "text", 0.3, True, -1, "Text", False, 10**15 + 1, 0.30000000000000004, "äöü" * 80]


@statement(anew=True)
def slow(**_given: Any) -> Select[Any]:
    return select(func.pg_sleep(5))


@pytest.fixture
def ann(seeds: Seeds) -> SeededUser:
    seeds.node()
    return seeds.user("ann", Role.STUDENT)


def add(seeds: Seeds, owner: SeededUser, result: dict[str, Any] | None = None, **values: Any) -> UUID:
    """A job that succeeded with this result, without a worker."""
    job_id = seeds.job(owner, **values)
    ended = {"state": "succeeded", "finished_at": func.now(), "result": result}
    with seeds.engine.begin() as connection:
        connection.execute(update(Job).where(Job.id == job_id).values(**ended))
    return job_id


async def table(client: httpx.AsyncClient, user: SeededUser | None = None, **query: Any) -> JobTableRead:
    answer = await client.get(TABLE, params=query, headers=user.headers if user else {})
    assert answer.status_code == 200, answer.text
    return JobTableRead.model_validate_json(answer.content)


async def column(client: httpx.AsyncClient, name: str, user: SeededUser | None = None, **query: Any) -> list[Any]:
    found = await table(client, user, columns=[name], **query)
    return [row.values[0] for row in found.items]


async def refused(client: httpx.AsyncClient, path: str = TABLE, **query: Any) -> dict[str, Any]:
    answer = await client.get(path, params=query)
    assert answer.status_code == 422, answer.text
    error: dict[str, Any] = answer.json()["errors"][0]
    return error


async def test_values_of_specs_results_and_metrics_stand_in_the_columns(
    client: httpx.AsyncClient, seeds: Seeds, admin: SeededUser
) -> None:
    job = add(seeds, admin, {"loss": 0.5, "per.class": {"top 1": 3}}, spec={"lr": 0.1, "optimizer": {"name": "sgd"}})
    seeds.metric(job, "val.loss", [1, 2], [4.0, 2.0])
    seeds.metric(job, "val.loss", [3, 4], [float("nan"), 3.0])
    names = ["spec.lr", "spec.optimizer.name", "result.loss", 'result."per.class"."top 1"', "result.missing"]
    metrics = ["metric.val.loss", "metric.val.loss.min", "metric.val.loss.max", "metric.val.loss.curve"]
    found = await table(client, columns=[*names, *metrics])

    assert found.columns == [*names, *metrics]
    assert found.items[0].values == [0.1, "sgd", 0.5, 3, None, 3.0, 2.0, 4.0, [4.0, 2.0, None, 3.0]]
    assert (found.total, found.complete) == (1, True)


async def test_lists_and_objects_are_no_values(client: httpx.AsyncClient, seeds: Seeds, admin: SeededUser) -> None:
    add(seeds, admin, spec={"layers": [1, 2], "optimizer": {"name": "sgd"}, "nothing": None})
    found = await table(client, columns=["spec.layers", "spec.optimizer", "spec.nothing"])
    assert found.items[0].values == [None, None, None]


@pytest.mark.parametrize("sort", ["result.x", "-result.x"])
async def test_every_job_is_on_one_page_whatever_the_values(
    client: httpx.AsyncClient, seeds: Seeds, admin: SeededUser, sort: str
) -> None:
    ids = [add(seeds, admin, {"x": value}) for value in VALUES * 2]
    whole = await column(client, "result.x", sort=[sort], limit=200)
    seen, values, cursor = [], [], None
    for _ in range(len(ids)):
        query = {} if cursor is None else {"cursor": cursor}
        page = await table(client, columns=["result.x"], sort=[sort], limit=5, **query)
        assert page.total == len(ids)
        seen += [row.id for row in page.items]
        values += [row.values[0] for row in page.items]
        if (cursor := page.next_cursor) is None:
            break

    assert sorted(seen) == sorted(ids)
    assert values == whole
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    assert numbers == sorted(numbers, reverse=sort.startswith("-"))
    assert values[-2:] == [None, None], "what has no value comes last both ways"


async def test_several_orders_apply_one_after_another(
    client: httpx.AsyncClient, seeds: Seeds, admin: SeededUser
) -> None:
    for model, lr in (("b", 1), ("a", 1), ("b", 2), ("a", 2)):
        add(seeds, admin, spec={"model": model, "lr": lr})
    found = await table(client, columns=["spec.model", "spec.lr"], sort=["spec.model", "-spec.lr"])
    assert [row.values for row in found.items] == [["a", 2], ["a", 1], ["b", 2], ["b", 1]]


@pytest.mark.parametrize(
    ("where", "values"),
    [
        ("spec.x>=2", [2, 10]),
        ("spec.x < 10", [2]),
        ("spec.x=10.0", [10]),
        ('spec.x="10"', ["10"]),
        ("spec.x=abc d", ["abc d"]),
        ("spec.x~BC", ["abc d"]),
        ("spec.x=true", [True]),
        ("spec.x=null", [None]),
        ("spec.x!=null", [2, 10, "10", "abc d", True]),
        ("spec.x!=10", [2, "10", "abc d", True, None]),
        ("spec.x>a", ["abc d"]),
        ("spec.x=' OR true --", []),
    ],
)
async def test_conditions_compare_numbers_with_numbers_and_texts_with_texts(
    client: httpx.AsyncClient, seeds: Seeds, admin: SeededUser, where: str, values: list[Any]
) -> None:
    for value in (2, 10, "10", "abc d", True, None):
        add(seeds, admin, spec={} if value is None else {"x": value})
    found = await column(client, "spec.x", where=[where])
    assert sorted(map(str, found)) == sorted(map(str, values))


async def test_conditions_and_filters_apply_together_and_the_total_counts_all_pages(
    client: httpx.AsyncClient, seeds: Seeds, admin: SeededUser
) -> None:
    for number in range(7):
        add(seeds, admin, {"loss": number / 10}, spec={"lr": number}, tags=["kept"] if number % 2 else [])
    found = await table(client, where=["spec.lr>0", "result.loss<0.6"], tag="kept", limit=1, columns=["spec.lr"])
    assert (found.total, [row.values for row in found.items]) == (3, [[5]])


async def test_only_the_newest_jobs_are_looked_at_and_it_says_so(
    client: httpx.AsyncClient, seeds: Seeds, admin: SeededUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        add(seeds, admin, spec={"x": number})
    monkeypatch.setattr("api.job_table.statements.MAX_JOBS", 3)
    found = await table(client, columns=["spec.x"], sort=["spec.x"])
    assert [row.values[0] for row in found.items] == [1, 2, 3]
    assert (found.total, found.searched, found.complete) == (3, 3, False)


@pytest.mark.parametrize(
    ("query", "path", "limit", "value"),
    [
        ({"where": ["spec.lr=>1"]}, "query.where.0", {"operators": "= != < <= > >= ~"}, "=>"),
        ({"where": ["name=a", "spec.lr"]}, "query.where.1", {"operators": "= != < <= > >= ~"}, "spec.lr"),
        ({"where": ["spec.lr<true"]}, "query.where.0", {"operators": "= !="}, "spec.lr<true"),
        ({"where": ["metric.loss.curve=1"]}, "query.where.0", {"aggregates": "last min max"}, "metric.loss.curve"),
        ({"sort": ["-metric.loss.curve"]}, "query.sort.0", {"aggregates": "last min max"}, "metric.loss.curve"),
        ({"columns": ["spec"]}, "query.columns.0", None, "spec"),
        ({"columns": ["owner_id"]}, "query.columns.0", None, "owner_id"),
        ({"columns": ["spec.a; DROP TABLE jobs"]}, "query.columns.0", None, "spec.a; DROP TABLE jobs"),
        ({"where": ["spec.a=\x00"]}, "query.where.0", None, "spec.a=\x00"),
    ],
)
async def test_what_cannot_be_read_is_refused_with_its_limit(
    client: httpx.AsyncClient, query: dict[str, Any], path: str, limit: dict[str, Any] | None, value: str
) -> None:
    error = await refused(client, **query)
    assert (error["path"], error["value"]) == (path, value)
    assert limit is None or error["limit"] == limit


async def test_cursor_of_another_order_or_of_nobody_is_refused(
    client: httpx.AsyncClient, seeds: Seeds, admin: SeededUser
) -> None:
    for number in range(3):
        add(seeds, admin, spec={"x": number})
    cursor = (await table(client, sort=["spec.x"], limit=1)).next_cursor
    assert (await refused(client, sort=["-spec.x"], cursor=cursor))["path"] == "query.cursor"
    assert (await refused(client, sort=["spec.x"], cursor="WyJqb2ItdGFibGUiXQ"))["path"] == "query.cursor"


async def test_students_see_and_count_their_own_jobs_alone(
    client: httpx.AsyncClient, seeds: Seeds, admin: SeededUser, ann: SeededUser
) -> None:
    add(seeds, admin, {"x": 1})
    add(seeds, ann, {"x": 2})
    assert await column(client, "result.x", ann) == [2]
    assert (await table(client, ann)).total == 1
    groups = await client.get(f"{TABLE}/groups", params={"by": "result.x"}, headers=ann.headers)
    assert [group["by"] for group in groups.json()["items"]] == [[2]]
    assert (await table(client)).total == 2


async def test_answers_are_no_values_no_order_and_no_condition_until_the_deadline(
    client: httpx.AsyncClient, seeds: Seeds, ann: SeededUser
) -> None:
    later = (datetime.now(UTC) + timedelta(days=3)).isoformat()
    order = {"name": "Homework", "deadline": later, "templates": ["course/3a"]}
    assert (await client.post("/v1/assignments", json=order)).status_code == 201
    results = [{"slope": 1.0, "sheet_exponent": 0.5}, {"slope": 2.0, "sheet_exponent": 0.25}]
    for result in results:
        job = seeds.job(ann, experiment="conv-gradients")
        finish(seeds, job, result)
        seeds.metric(job, "correct_slope", [1], [result["slope"]])
    answers = ["result.sheet_exponent", "metric.correct_slope", "metric.correct_slope.curve"]

    found = await table(client, ann, columns=["result.slope", *answers], sort=["result.sheet_exponent"])
    assert [row.values for row in found.items] == [[2.0, None, None, None], [1.0, None, None, None]], "newest first"
    assert await column(client, "result.slope", ann, where=["result.sheet_exponent>0.3"]) == []
    groups = await client.get(f"{TABLE}/groups", params={"by": answers[0], "columns": answers[1]}, headers=ann.headers)
    assert [(one["by"], one["columns"][0]["n"]) for one in groups.json()["items"]] == [([None], 0)]
    fields = await client.get(f"{TABLE}/fields", headers=ann.headers)
    assert [one["name"] for one in fields.json()["items"]] == ["result.slope"]

    of_staff = await table(client, columns=answers[:1], sort=["result.sheet_exponent"])
    assert [row.values for row in of_staff.items] == [[0.25], [0.5]]


async def test_groups_have_count_mean_and_spread(client: httpx.AsyncClient, seeds: Seeds, admin: SeededUser) -> None:
    for lr, loss in ((0.1, 1.0), (0.1, 3.0), (0.2, 5.0), (0.2, "diverged"), (None, 7.0)):
        add(seeds, admin, {"loss": loss}, spec={} if lr is None else {"lr": lr})
    answer = await client.get(
        f"{TABLE}/groups", params={"by": "spec.lr", "columns": "result.loss", "sort": "-result.loss"}
    )
    found = JobGroupsRead.model_validate_json(answer.content)
    shown = [(group.by, group.runs, group.columns[0].n, group.columns[0].mean) for group in found.items]
    assert shown == [([None], 1, 1, 7.0), ([0.2], 2, 1, 5.0), ([0.1], 2, 2, 2.0)]
    assert found.items[2].columns[0].sd == pytest.approx(2**0.5)
    assert (found.items[2].columns[0].min, found.items[2].columns[0].max) == (1.0, 3.0)
    assert (found.groups, found.total, found.complete) == (3, 5, True)


async def test_leaderboard_holds_what_was_handed_in(
    client: httpx.AsyncClient, seeds: Seeds, admin: SeededUser, ann: SeededUser
) -> None:
    later = (datetime.now(UTC) + timedelta(days=3)).isoformat()
    order = {"name": "Race", "deadline": later, "experiments": ["dropout-linear"], "templates": []}
    answer = await client.post("/v1/assignments", json=order)
    assert answer.status_code == 201, answer.text
    assignment = answer.json()["id"]
    for user, score in ((ann, 1), (admin, 3)):
        job = seeds.job(user)
        finish(seeds, job, {"score": score})
        path = f"/v1/assignments/{assignment}/submission"
        pinned = await client.post(path, json={"job_id": str(job)}, headers=user.headers)
        assert pinned.status_code in {200, 201}, pinned.text
    add(seeds, admin, {"score": 9})
    board = {"assignment": assignment, "sort": ["-result.score"]}

    assert await column(client, "result.score", **board) == [3, 1]
    assert await column(client, "result.score", ann, **board) == [1], "students see no runs of others"


async def test_columns_that_there_are_come_from_specs_results_and_metrics(
    client: httpx.AsyncClient, seeds: Seeds, admin: SeededUser
) -> None:
    for lr in (0.1, 0.2):
        job = add(seeds, admin, {"loss": 1.0, "a.b": {"c": True}}, spec={"lr": lr, "layers": [1], "model": "mlp"})
        seeds.metric(job, "val.max", [1], [1.0])
    answer = await client.get(f"{TABLE}/fields")
    found = {
        one.name: (one.kinds, one.runs, one.values) for one in FieldsRead.model_validate_json(answer.content).items
    }
    assert found == {
        "spec.lr": (["number"], 2, 2),
        "spec.model": (["string"], 2, 1),
        "result.loss": (["number"], 2, 1),
        'result."a.b".c': (["boolean"], 2, 1),
        "metric.val.max.last": (["number"], 2, None),
    }
    columns = await table(client, columns=list(found))
    assert None not in columns.items[0].values


async def test_read_that_takes_too_long_is_ended_and_says_what_helps(
    client: httpx.AsyncClient, seeds: Seeds, admin: SeededUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(seeds, admin)
    monkeypatch.setattr("api.job_table.service.MAX_SECONDS", 0.001)
    monkeypatch.setattr("api.job_table.statements.page", slow)
    error = await refused(client)
    assert "filter it" in error["message"]
    monkeypatch.undo()
    assert (await table(client)).total == 1, "the connection is of use afterwards"
