"""A user has a bounded number of unanswered estimates; answered ones make room, and others have their own."""

import asyncio
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import pytest

from api.estimates.pending import PendingEstimates
from api.http.problems import TooManyEstimates


class Row(NamedTuple):
    id: UUID
    state: str


class Answers:
    """Stands where the database does."""

    def __init__(self) -> None:
        self.answered: set[UUID] = set()

    async def rows(self, _source: object, *, estimate_ids: list[UUID]) -> list[Row]:
        await asyncio.sleep(0)
        return [Row(one, "ready" if one in self.answered else "pending") for one in estimate_ids]


def asked(answers: Answers, of_user: int) -> PendingEstimates:
    found: Any = answers
    return PendingEstimates(found, of_user=of_user)


async def test_limit_holds_for_questions_at_the_same_moment() -> None:
    made, ada, bob = asked(Answers(), 5), uuid4(), uuid4()
    results = await asyncio.gather(*(made.note(ada, uuid4()) for _ in range(50)), return_exceptions=True)
    refused = [one for one in results if isinstance(one, TooManyEstimates)]
    assert len(refused) == 45
    assert refused[0].headers["Retry-After"] == "2"
    await made.note(bob, uuid4())


async def test_answers_make_room_and_the_same_question_takes_one_place() -> None:
    answers = Answers()
    made, ada, questions = asked(answers, 2), uuid4(), [uuid4() for _ in range(3)]
    for _ in range(5):
        await made.note(ada, questions[0])
    await made.note(ada, questions[1])
    with pytest.raises(TooManyEstimates):
        await made.note(ada, questions[2])
    answers.answered.add(questions[0])
    await made.note(ada, questions[2])
