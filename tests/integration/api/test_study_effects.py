"""What the fields of a study do, over HTTP: the numbers behind its charts, kept while nothing changes."""

from typing import Any

import httpx
import pytest

from gpulab.states import Role
from tests.integration.api.seeds import Seeds
from tests.integration.api.study_calls import finish, jobs_of, submitted

GRID = {"grid": {"epochs": [20, 10], "model": ["cnn", "mlp"]}, "seeds": [0, 1]}
"""Runs in the order epochs, model, seed."""


async def study_of(client: httpx.AsyncClient, seeds: Seeds, results: list[dict[str, Any] | None]) -> str:
    seeds.node()
    study = await submitted(client, experiment="edge-bands", **GRID)
    for job_id, result in zip(jobs_of(seeds, study), results, strict=False):
        finish(seeds, job_id, result)
    return f"/v1/studies/{study.id}/effects"


async def test_fields_share_the_variance_of_a_result(client: httpx.AsyncClient, seeds: Seeds) -> None:
    scores = [4.0, 4.0, 1.0, 1.0, 6.0, 6.0, 3.0, 3.0]
    path = await study_of(client, seeds, [{"score": score, "epochs_done": 3} for score in scores])
    found = (await client.get(path)).json()
    assert [(field["name"], field["values"]) for field in found["fields"]] == [
        ("model", ["cnn", "mlp"]),
        ("epochs", [10, 20]),
    ]
    assert (found["known_results"], found["results"]) == (["score", "epochs_done"], ["score", "epochs_done"])
    effect = found["effects"][0]
    # The means differ by 2 and by 3.
    assert {one["field"]: one["share"] for one in effect["importance"]["fields"]} == {
        "epochs": pytest.approx(4 / 13),
        "model": pytest.approx(9 / 13),
    }
    assert [one["mean"] for one in effect["fields"][1]] == [4.5, 2.5]
    assert len(found["trainings"]) == 8
    assert found["trainings"][2]["values"] == ["mlp", 20]


async def test_result_of_a_run_that_failed_or_waits_is_missing(client: httpx.AsyncClient, seeds: Seeds) -> None:
    path = await study_of(client, seeds, [{"score": 1.0}, None])
    found = (await client.get(path, params={"result": ["score"]})).json()
    assert [(one["state"], one["why"], one["numbers"]) for one in found["trainings"][:3]] == [
        ("succeeded", "", [1.0]),
        ("failed", "error: it broke", [None]),
        ("queued", "", [None]),
    ]
    importance = found["effects"][0]["importance"]
    assert importance["fields"] == []
    assert importance["reason"] == "3 of 4 combinations have no result. 1 run failed."


async def test_unchanged_effects_are_not_sent_again(client: httpx.AsyncClient, seeds: Seeds) -> None:
    seeds.node()
    study = await submitted(client, experiment="edge-bands", **GRID)
    path, jobs = f"/v1/studies/{study.id}/effects", jobs_of(seeds, study)
    first = await client.get(path)
    tag = {"If-None-Match": first.headers["etag"]}
    assert (await client.get(path, headers=tag)).status_code == 304
    assert first.json()["effects"] == []
    finish(seeds, jobs[0], {"score": 1.0})
    assert (await client.get(path, headers=tag)).json()["results"] == ["score"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"experiment": "dropout-linear"}, "experiment"),
        ({"result": "speed"}, "result"),
        ({"result": ["score"] * 9}, "result"),
        ({"experiment": "x" * 201}, "experiment"),
    ],
)
async def test_what_the_study_does_not_have_is_refused_by_name(
    client: httpx.AsyncClient, seeds: Seeds, query: dict[str, Any], field: str
) -> None:
    path = await study_of(client, seeds, [{"score": 1.0}])
    answer = await client.get(path, params=query)
    assert answer.status_code == 422
    assert [error["path"].split(".")[-1] for error in answer.json()["errors"]] == [field]


async def test_template_compares_the_runs_of_one_experiment(client: httpx.AsyncClient, seeds: Seeds) -> None:
    seeds.node()
    study = await submitted(client, template="course/1b", scale="smoke")
    for job_id in jobs_of(seeds, study):
        finish(seeds, job_id, {"loss": 0.5})
    path = f"/v1/studies/{study.id}/effects"
    first = (await client.get(path)).json()
    for slug in first["experiments"]:
        found = (await client.get(path, params={"experiment": slug})).json()
        assert found["experiment"] == slug
        assert {one["state"] for one in found["trainings"]} == {"succeeded"}
    assert first["experiment"] == first["experiments"][0]


async def test_study_of_another_student_is_not_found(client: httpx.AsyncClient, seeds: Seeds) -> None:
    path = await study_of(client, seeds, [{"score": 1.0}])
    other = seeds.user("mallory", Role.STUDENT)
    assert (await client.get(path, headers=other.headers)).status_code == 404
