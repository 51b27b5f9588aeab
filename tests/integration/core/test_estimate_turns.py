"""Users take turns at predictions: one question of one user is next, whatever another one has queued."""

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import select

from api.jobs import statements as jobs
from api.users import statements as users
from models import Estimate
from models.statements.memory import estimate_turns, estimates
from tests.integration.core.questions import put

Execute = Callable[..., list[Any]]
T4 = {"T4/16": {"name": "T4", "total_bytes": 16}}


def user(execute: Execute, name: str) -> UUID:
    found: UUID = execute(users.ensure_user(name, "student"))[0]["id"]
    return found


def question(owner_id: UUID | None, *, software: str = "torch 1", estimate_id: UUID | None = None) -> dict[str, Any]:
    return {
        "id": str(estimate_id or uuid4()),
        "owner_id": owner_id and str(owner_id),
        "family": "resnet",
        "software": software,
        "workload": {},
        "editable": [],
        "wanted": T4,
    }


def ask(execute: Execute, owner_id: UUID | None, number: int = 1, **given: Any) -> list[UUID]:
    """One after the other, as `asked_at` shows."""
    ids = []
    for _ in range(number):
        made = question(owner_id, **given)
        execute(put(made))
        ids.append(UUID(made["id"]))
    return ids


def claim(execute: Execute, rung_for: UUID) -> Any:
    """The question that a worker takes up, null where there is none."""
    return next(iter(execute(estimates.claim(rung_for, node="n1", lease_seconds=60))), None)


def answered(execute: Execute, bells: list[UUID]) -> Iterator[UUID]:
    """What one worker answers, question by question, which was rung for in this order."""
    for bell in bells:
        taken = claim(execute, bell)
        execute(estimates.answer(taken.id, taken.token, prediction={}, fits={key: {} for key in T4}))
        yield taken.id


def test_only_question_of_a_user_is_next_behind_two_hundred_of_another(execute: Execute) -> None:
    ada, bob = user(execute, "ada"), user(execute, "bob")
    many = ask(execute, ada, 200)
    [first] = itertools.islice(answered(execute, many), 1)
    assert first == many[0]
    [bobs] = ask(execute, bob)
    assert claim(execute, many[1]).id == bobs, "the bell for another question reaches it"


def test_three_users_take_turns_until_all_is_answered(execute: Execute) -> None:
    names = {user(execute, name): name for name in ("ada", "bob", "cy")}
    ada, bob, cy = names
    owned = {
        each: names[owner] for owner, number in ((ada, 5), (bob, 2), (cy, 3)) for each in ask(execute, owner, number)
    }
    turns = [owned[each] for each in answered(execute, list(owned))]
    assert turns == ["ada", "bob", "cy", "ada", "bob", "cy", "ada", "cy", "ada", "ada"]


def test_question_under_way_counts_as_a_turn(execute: Execute) -> None:
    ada, bob = user(execute, "ada"), user(execute, "bob")
    bells = ask(execute, ada, 2) + ask(execute, bob, 2)
    taken = [claim(execute, bell).id for bell in bells]
    assert taken == [bells[0], bells[2], bells[1], bells[3]]
    assert claim(execute, bells[0]) is None, "each is taken up once"


def test_worker_is_given_questions_for_the_software_that_it_was_rung_for(execute: Execute) -> None:
    ada, bob = user(execute, "ada"), user(execute, "bob")
    old = ask(execute, ada, 2, software="torch 1")
    ask(execute, bob, software="torch 2")
    assert [claim(execute, old[1]).id for _ in old] == old
    assert claim(execute, old[1]) is None


def test_question_without_a_user_is_answered_too(execute: Execute) -> None:
    [early] = ask(execute, None)
    [late] = ask(execute, user(execute, "ada"))
    assert {claim(execute, late).id, claim(execute, late).id} == {early, late}


def test_workers_that_choose_at_once_take_up_different_questions(execute: Execute) -> None:
    bells = ask(execute, user(execute, "ada"), 12)
    with ThreadPoolExecutor(4) as workers:
        taken = [found.id for found in workers.map(lambda bell: claim(execute, bell), bells)]
    assert sorted(taken) == sorted(bells)


def test_question_that_another_asked_before_moves_to_the_user_with_fewer(execute: Execute) -> None:
    ada, bob = user(execute, "ada"), user(execute, "bob")
    many = ask(execute, ada, 20)
    assert execute(estimate_turns.take_over([question(bob, estimate_id=many[15])])) == [{"id": many[15]}]
    assert execute(estimate_turns.take_over([question(ada, estimate_id=many[15])])) == [], "she has more"
    taken = [claim(execute, bell).id for bell in many[:2]]
    assert taken == [many[0], many[15]]


def test_answered_question_changes_hands_only_with_a_further_gpu(execute: Execute) -> None:
    ada, bob = user(execute, "ada"), user(execute, "bob")
    [known] = ask(execute, ada)
    list(answered(execute, [known]))
    assert execute(estimate_turns.take_over([question(bob, estimate_id=known)])) == []
    execute(put({**question(bob, estimate_id=known), "wanted": {"A100/80": {}}}))
    assert execute(select(Estimate.owner_id, Estimate.state))[0] == {"owner_id": bob, "state": "pending"}


def test_job_of_another_user_takes_the_turn_of_its_own(execute: Execute) -> None:
    """Its prediction was asked for by somebody who has many pending."""
    ada, bob = user(execute, "ada"), user(execute, "bob")
    many = ask(execute, ada, 30)
    order = {
        **dict.fromkeys(jobs.ORDERED),
        "owner_id": str(bob),
        "experiment": "probe",
        "spec": {},
        "seed": 0,
        "tags": [],
        "priority": "normal",
        "time_limit_seconds": 60,
        "gpus": 0,
        "exclusive": False,
        "datasets": [],
        "estimate_id": str(many[29]),
        "ordinal": 0,
        "actor": "user:bob",
        "message": "submitted",
    }
    [stored] = execute(jobs.submit_many([order], [question(bob, estimate_id=many[29])], 100))
    assert stored["estimate_state"] == "pending"
    claim(execute, many[0])
    assert claim(execute, many[1]).id == many[29]
