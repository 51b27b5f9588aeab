"""What the command line says to a user: where to put a token, a run by its name, results whole."""

import json
from collections.abc import Callable

import pytest

from tests.unit.gpulab.command import Ran
from tests.unit.gpulab.stub_lab import StubLab


def test_without_a_token_it_says_where_to_put_one(
    run: Callable[..., Ran], stub: StubLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GPULAB_TOKEN")
    ran = run("status")
    assert (ran.code, ran.out) == (3, "")
    assert ran.err == "gpulab: No token found. Put yours into ~/.config/gpulab/token or set GPULAB_TOKEN.\n"


def test_a_run_can_be_named_where_its_id_can(run: Callable[..., Ran], stub: StubLab) -> None:
    job = stub.add(name="baseline", state="succeeded", result={"loss": 0.5})
    stub.add(name="baseline 2")
    assert str(job.id) in run("status", "baseline").out
    other = stub.add(name="baseline")
    ran = run("status", "baseline")
    assert ran.code == 2
    assert f"2 of them are called 'baseline': name one by its id, newest first: {other.id}, {job.id}" in ran.err


def test_words_of_a_result_are_whole_and_its_numbers_are_for_people(run: Callable[..., Ran], stub: StubLab) -> None:
    words = "The optimum lies where the penalty " + "and the loss balance, " * 12
    result = {"words": words, "loss": 0.123456789, "images": 1234567, "found": [0.1 + 0.2, 2], "good": True}
    job = stub.add(state="succeeded", result=result)
    out = run("status", job.id).out
    assert words.strip() in out
    for line in (
        "result.loss    0.123457",
        "result.images  1,234,567",
        "result.found   [0.3, 2]",
        "result.good    true",
    ):
        assert line in out
    assert json.loads(run("status", job.id, "--json").out)["result"] == result


def test_queue_of_a_run_that_is_over_is_one_sentence(run: Callable[..., Ran], stub: StubLab) -> None:
    job = stub.add(state="failed")
    stub.explanation = "this run is over: it failed"
    assert run("queue", job.id).out == "This run is over: it failed.\n"
