"""The statements of an estimate's life: asked once, answered by one worker, rung for until it is."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import func, select, update

from models import Estimate
from models.statements.memory import estimates
from models.tables.estimate import PROGRAM
from tests.integration.core.questions import put

Execute = Callable[..., list[Any]]
T4, A100 = "T4/16", "A100/80"
LONG_AGO = func.now() - func.make_interval(0, 0, 0, 1)


def question(estimate_id: UUID, *gpus: str) -> dict[str, Any]:
    wanted = {key: {"name": key.partition("/")[0], "total_bytes": int(key.partition("/")[2])} for key in gpus}
    return {
        "id": estimate_id,
        "family": "resnet",
        "software": "torch 1",
        "workload": {"model": "resnet18"},
        "editable": ["batch_size"],
        "wanted": wanted,
    }


def asked(execute: Execute, *gpus: str) -> UUID:
    estimate_id = uuid4()
    assert execute(put(question(estimate_id, *gpus)))
    return estimate_id


def claimed(execute: Execute, estimate_id: UUID, lease_seconds: float = 60) -> UUID:
    token: UUID = execute(estimates.claim(estimate_id, node="n1", lease_seconds=lease_seconds))[0]["token"]
    return token


def answer(execute: Execute, estimate_id: UUID, token: UUID, *gpus: str) -> list[Any]:
    return execute(estimates.answer(estimate_id, token, prediction={"n": 1}, fits={key: {} for key in gpus}))


def row(execute: Execute, estimate_id: UUID) -> Any:
    return execute(estimates.by_id(estimate_id))[0]


def due(execute: Execute, ring_again_seconds: float = 60) -> list[UUID]:
    return [found["id"] for found in execute(estimates.due(ring_again_seconds))]


def test_question_is_put_once_and_answered_once(execute: Execute) -> None:
    estimate_id = asked(execute, T4)
    assert execute(put(question(estimate_id, T4))) == []
    token = claimed(execute, estimate_id)
    assert execute(estimates.claim(estimate_id, node="n2", lease_seconds=60)) == []
    assert answer(execute, estimate_id, token, T4)
    assert answer(execute, estimate_id, token, T4) == []
    assert row(execute, estimate_id)["state"] == "ready"
    assert execute(put(question(estimate_id, T4))) == []


def test_further_gpu_opens_the_question_again_and_keeps_what_is_known(execute: Execute) -> None:
    estimate_id = asked(execute, T4)
    answer(execute, estimate_id, claimed(execute, estimate_id), T4)
    assert execute(put(question(estimate_id, A100)))
    found = row(execute, estimate_id)
    assert (found["state"], set(found["wanted"]), set(found["fits"])) == ("pending", {T4, A100}, {T4})
    answer(execute, estimate_id, claimed(execute, estimate_id), T4, A100)
    assert row(execute, estimate_id)["state"] == "ready"


def test_gpu_that_is_added_while_a_worker_answers_keeps_it_pending(execute: Execute) -> None:
    estimate_id = asked(execute, T4)
    token = claimed(execute, estimate_id)
    execute(put(question(estimate_id, A100)))
    answer(execute, estimate_id, token, T4)
    assert row(execute, estimate_id)["state"] == "pending"
    assert due(execute) == [estimate_id]


def test_gpu_without_a_prediction_is_tried_again_when_a_program_is_asked_about_later(execute: Execute) -> None:
    estimate_id = uuid4()
    asked_for = question(estimate_id, T4, A100) | {"family": PROGRAM}
    execute(put(asked_for))
    fits = {T4: {"verdict": "not_predicted"}, A100: {"verdict": "fits"}}
    execute(estimates.answer(estimate_id, claimed(execute, estimate_id), prediction={}, fits=fits))
    assert execute(put(asked_for)) == [], "it was tried just now"
    execute(update(Estimate).values(finished_at=LONG_AGO))
    assert execute(put(question(estimate_id, A100) | {"family": PROGRAM})) == []
    assert execute(put(asked_for))
    found = row(execute, estimate_id)
    assert (found["state"], set(found["fits"])) == ("pending", {A100})


def test_refused_gpu_of_what_the_catalogue_trains_stays_refused(execute: Execute) -> None:
    estimate_id = asked(execute, T4)
    fits = {T4: {"verdict": "not_predicted"}}
    execute(estimates.answer(estimate_id, claimed(execute, estimate_id), prediction={}, fits=fits))
    execute(update(Estimate).values(finished_at=LONG_AGO))
    assert execute(put(question(estimate_id, T4))) == []


def test_question_is_rung_for_again_only_when_nobody_is_at_it(execute: Execute) -> None:
    estimate_id = asked(execute, T4)
    assert due(execute) == [estimate_id]
    assert due(execute) == [], "told just now"
    assert due(execute, ring_again_seconds=0) == [estimate_id], "the message may be lost"
    token = claimed(execute, estimate_id)
    assert due(execute, ring_again_seconds=0) == []
    assert execute(estimates.renew(estimate_id, token, lease_seconds=-1))
    assert due(execute, ring_again_seconds=0) == [estimate_id], "its worker was not heard of"
    assert claimed(execute, estimate_id) != token
    assert answer(execute, estimate_id, token, T4) == [], "another one holds it now"


def test_worker_that_comes_back_frees_what_it_held(execute: Execute) -> None:
    estimate_id = asked(execute, T4)
    token = claimed(execute, estimate_id)
    execute(estimates.abandoned("n1"))
    assert due(execute) == [estimate_id]
    assert execute(estimates.renew(estimate_id, token, lease_seconds=60)) == []


def test_worker_that_leaves_gives_back_without_counting_it(execute: Execute) -> None:
    estimate_id = asked(execute, T4)
    execute(estimates.release(estimate_id, claimed(execute, estimate_id)))
    assert due(execute) == [estimate_id]
    assert row(execute, estimate_id)["attempts"] == 0


def test_question_over_which_three_workers_were_lost_fails_with_a_reason(execute: Execute) -> None:
    estimate_id = asked(execute, T4)
    for _ in range(estimates.MAX_ATTEMPTS):
        assert execute(estimates.give_up()) == []
        claimed(execute, estimate_id, lease_seconds=-1)
    assert due(execute, ring_again_seconds=0) == []
    assert execute(estimates.give_up())
    found = row(execute, estimate_id)
    assert (found["state"], found["token"]) == ("failed", None)
    assert "workers were lost" in found["reason"]


def test_failed_question_is_tried_anew_only_after_a_while(execute: Execute) -> None:
    estimate_id = asked(execute, T4)
    execute(estimates.fail(estimate_id, claimed(execute, estimate_id), "no"))
    assert execute(put(question(estimate_id, T4))) == []
    execute(update(Estimate).values(finished_at=LONG_AGO))
    assert execute(put(question(estimate_id, T4)))
    assert execute(select(Estimate.state, Estimate.reason))[0] == {"state": "pending", "reason": None}


def test_many_are_put_at_once_and_those_that_are_there_stay(execute: Execute) -> None:
    known = asked(execute, T4)
    answer(execute, known, claimed(execute, known), T4)
    new = uuid4()
    given = [question(each, T4) | {"id": str(each)} for each in (known, new)]
    execute(estimates.ask_all(given))
    states = {found["id"]: found["state"] for found in execute(select(Estimate.id, Estimate.state))}
    assert states == {known: "ready", new: "pending"}
