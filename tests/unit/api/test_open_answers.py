"""A user has a bounded number of open answers, and so has the lab; who leaves makes room."""

from contextlib import ExitStack
from uuid import uuid4

import pytest

from api.http.problems import TooManyOpen, TooManyStreams
from api.limits.open_answers import OpenAnswers


def test_one_user_is_refused_and_another_is_not() -> None:
    places, ada, bob = OpenAnswers(of_all=10, of_user=2), uuid4(), uuid4()
    with ExitStack() as open_now:
        for _ in range(2):
            open_now.enter_context(places.taken(ada))
        with pytest.raises(TooManyOpen) as refused, places.taken(ada):
            pass
        open_now.enter_context(places.taken(bob))
        assert int(refused.value.headers["Retry-After"]) >= 1
    with places.taken(ada), places.taken(ada):
        pass


def test_the_lab_is_full_when_all_places_are_taken() -> None:
    places = OpenAnswers(of_all=3, of_user=3)
    with ExitStack() as open_now:
        for _ in range(3):
            open_now.enter_context(places.taken(uuid4()))
        with pytest.raises(TooManyStreams), places.taken(uuid4()):
            pass


def test_place_is_given_back_when_its_answer_fails() -> None:
    places, ada = OpenAnswers(of_all=1, of_user=1), uuid4()
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), places.taken(ada):
            raise ZeroDivisionError
