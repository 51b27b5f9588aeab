"""The comparison table: numbers over the seeds of each cell, failed and collapsed runs named."""

import json
from typing import Any

from experiments.studies.outcome import RunOutcome
from experiments.studies.summary import compare, numbers


def outcome(seed: int, loss: float | None, **changes: Any) -> RunOutcome:
    result = (
        None if loss is None else {"loss": loss, "weights": [loss, 2 * loss], "curve": list(range(20)), "name": "x"}
    )
    fields = {"experiment": "probe", "spec": {"rate": 0.1}, "seed": seed, "cell": {"rate": 0.1}, "result": result}
    return RunOutcome(**{**fields, **changes})


def test_numbers_are_scalars_and_short_lists() -> None:
    result = {"a": 1, "b": [1.5, None], "c": True, "d": "x", "e": None, "f": float("inf"), "g": list(range(9)), "h": {}}
    assert numbers(result) == {"a": 1.0, "b[0]": 1.5, "c": 1.0}


def test_cell_has_mean_deviation_and_range_over_its_seeds() -> None:
    (row,) = compare([outcome(2, 3.0), outcome(0, 1.0), outcome(1, 2.0)])
    loss = row.fields["loss"]
    assert (loss.mean, loss.sd, loss.min, loss.max, loss.n) == (2.0, 1.0, 1.0, 3.0, 3)
    assert row.fields["weights[1]"].mean == 4.0
    assert "curve[0]" not in row.fields
    assert row.states == {"succeeded": 3}


def test_single_run_has_no_deviation() -> None:
    assert compare([outcome(0, 1.0)])[0].fields["loss"].sd is None


def test_cells_keep_the_order_of_first_mention_whatever_finishes_first() -> None:
    cells = [outcome(seed, 1.0, cell={"rate": rate}) for seed in (0, 1) for rate in (0.5, 0.1)]
    assert [row.cell["rate"] for row in compare(cells)] == [0.5, 0.1]
    assert [row.runs for row in compare(cells)] == [2, 2]


def test_failed_run_is_named_with_its_cause_and_counts_no_number() -> None:
    failed = outcome(1, None, state="failed", cause="diverged", message="the loss is inf", job_id="j1")
    (row,) = compare([outcome(0, 1.0), failed])
    assert row.fields["loss"].n == 1
    assert row.states == {"succeeded": 1, "failed": 1}
    assert [(run.seed, run.job_id, run.why) for run in row.failed] == [(1, "j1", "diverged: the loss is inf")]


def test_waiting_run_is_counted_and_not_called_failed() -> None:
    (row,) = compare([outcome(0, 1.0), outcome(1, None, state="queued")])
    assert row.states == {"succeeded": 1, "queued": 1}
    assert not row.failed


def test_replicas_of_one_run_count_each() -> None:
    replicas = [{"seed": seed, "accuracy": 0.1 * seed, "collapsed": seed == 3} for seed in (2, 3)]
    run = outcome(2, None, result={"replicas": replicas, "accuracy_mean": 0.25}, cell={"rate": 0.1, "replicas": 2})
    (row,) = compare([run])
    assert row.fields["accuracy"].n == 2
    assert "seed" not in row.fields
    assert [(one.seed, one.why) for one in row.collapsed] == [(3, "collapsed")]
    assert row.cell == {"rate": 0.1}


def test_blocks_of_different_size_share_a_cell() -> None:
    def block(first: int, count: int) -> RunOutcome:
        replicas = [{"seed": seed, "accuracy": 1.0} for seed in range(first, first + count)]
        return outcome(first, None, result={"replicas": replicas}, cell={"rate": 0.1, "replicas": count})

    (row,) = compare([block(0, 5), block(5, 2)])
    assert row.fields["accuracy"].n == 7


def test_table_is_json() -> None:
    assert json.loads(json.dumps([row.model_dump(mode="json") for row in compare([outcome(0, 1.0)])]))
