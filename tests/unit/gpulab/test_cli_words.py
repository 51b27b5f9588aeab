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
    assert ran.err == "gpulab: No token found. Sign in with `gpulab sign-in`, or set GPULAB_TOKEN.\n"


def test_a_run_can_be_named_where_its_id_can(run: Callable[..., Ran], stub: StubLab) -> None:
    job = stub.add(name="baseline", state="succeeded", result={"loss": 0.5})
    stub.add(name="baseline 2")
    assert str(job.id) in run("status", "baseline").out
    other = stub.add(name="baseline")
    ran = run("status", "baseline")
    assert ran.code == 2
    assert f"several are called 'baseline'; use the id, newest first: {other.id}, {job.id}" in ran.err


def test_words_of_a_result_are_whole_and_its_numbers_are_for_people(run: Callable[..., Ran], stub: StubLab) -> None:
    words = "The optimum lies where the penalty " + "and the loss balance, " * 12
    lines = ["The weights are equal. " * 4, "Dropout is a ridge. " * 4]
    result = {
        "words": words,
        "lines": lines,
        "loss": 0.123456789,
        "images": 1234567,
        "found": [0.1 + 0.2, 2],
        "good": True,
    }
    job = stub.add(state="succeeded", result=result)
    out = run("status", job.id).out
    for text in (words, *lines):
        assert text.strip() in out
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


def test_without_a_command_it_shows_its_help_and_no_error(run: Callable[..., Ran]) -> None:
    ran = run()
    assert (ran.code, ran.err) == (2, "")
    assert "sign-in" in ran.out
