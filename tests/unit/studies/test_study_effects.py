"""What fields do to results: shares of the variance, means by value, failed runs, and why there is nothing."""

import random
from collections.abc import Callable
from itertools import product
from statistics import fmean
from typing import Any

import numpy as np
import pytest

from experiments.studies.effects import effects, results_of, trainings_of
from experiments.studies.intervals import interval
from experiments.studies.outcome import RunOutcome
from gpulab.schemas import ImportanceRead, StudyEffectsRead

Result = Callable[[dict[str, Any]], float | None]
RATES, WIDTHS = [0.1, 0.2, 0.3], [8, 16]


def runs(result: Result, seeds: int, **fields: list[Any]) -> list[RunOutcome]:
    """A grid: `result` gets the values and the seed; None is a run that failed."""
    found = []
    for values in product(*fields.values()):
        for seed in range(seeds):
            cell = dict(zip(fields, values, strict=True))
            number = result({"seed": seed, **cell})
            ended = {"state": "succeeded", "result": {"score": number}}
            failed = {"state": "failed", "cause": "diverged", "message": "the loss is inf"}
            found.append(
                RunOutcome(experiment="probe", spec=cell, seed=seed, cell=cell, **(failed if number is None else ended))
            )
    return found


def of(outcomes: list[RunOutcome], *results: str) -> StudyEffectsRead:
    trainings = trainings_of(outcomes)
    return effects("probe", ["probe"], trainings, results_of(trainings), results or ("score",))


def importance(outcomes: list[RunOutcome]) -> ImportanceRead:
    return of(outcomes).effects[0].importance


def shares(found: ImportanceRead) -> dict[str, float]:
    return {one.field: one.share for one in found.fields}


def test_sum_of_two_fields_is_shared_as_their_variances() -> None:
    # The variance of 10 x rate over 0.1, 0.2, 0.3 is 2/3; of width / 8 over 1, 2 it is 1/4.
    found = importance(runs(lambda at: 10 * at["rate"] + at["width"] / 8, 3, rate=RATES, width=WIDTHS))
    assert shares(found) == {"rate": pytest.approx(8 / 11), "width": pytest.approx(3 / 11)}
    assert (found.combinations, found.between_seeds) == (pytest.approx(0, abs=1e-12), 0.0)
    assert [(one.low, one.high) for one in found.fields] == [(pytest.approx(one.share),) * 2 for one in found.fields]


def test_what_only_the_combination_decides_is_no_fields_share() -> None:
    found = importance(runs(lambda at: float(at["a"] != at["b"]), 2, a=[False, True], b=[False, True]))
    assert shares(found) == {"a": 0.0, "b": 0.0}
    assert found.combinations == pytest.approx(1.0)


def test_shares_are_those_of_least_squares_on_the_same_runs() -> None:
    rng = random.Random(3)
    outcomes = runs(lambda at: 3 * at["a"] + at["a"] * at["b"] + rng.gauss(0, 2), 4, a=[0, 1, 2], b=[0, 1, 5, 7])
    y = np.array([run.result["score"] for run in outcomes if run.result])
    columns = {name: _dummies([run.cell[name] for run in outcomes]) for name in ("a", "b")}
    cells = _dummies([tuple(run.cell.values()) for run in outcomes])
    total, within = _left(y, np.ones((len(y), 1))), _left(y, cells)
    noise = within / (len(y) - 12)
    expected = {
        name: (total - _left(y, columns[name]) - degrees * noise) / (total + noise)
        for name, degrees in {"a": 2, "b": 3}.items()
    }
    found = importance(outcomes)
    assert shares(found) == {name: pytest.approx(max(0.0, share)) for name, share in expected.items()}
    assert found.between_seeds == pytest.approx(len(y) * noise / (total + noise))


def _dummies(values: list[Any]) -> Any:
    different = sorted(set(values))
    return np.array([[float(value == one) for one in different] for value in values])


def _left(y: Any, columns: Any) -> float:
    """The sum of squares that the columns leave."""
    return float(np.sum((y - columns @ np.linalg.lstsq(columns, y, rcond=None)[0]) ** 2))


def test_field_that_does_nothing_has_a_share_near_zero() -> None:
    rng = random.Random(0)
    found = [shares(importance(runs(lambda _: rng.gauss(0, 1), 3, a=[0, 1, 2, 3], b=[0, 1])))["a"] for _ in range(200)]
    # Without the correction it would be 3/23 on average.
    assert fmean(found) < 0.06


def test_intervals_hold_the_true_share_about_as_often_as_they_say() -> None:
    rng = random.Random(1)
    # Variances: 1/4 of the field, 0 of the other, 1/4 of the seeds.
    held = 0
    for _ in range(200):
        outcomes = runs(lambda at: at["a"] + rng.gauss(0, 0.5), 5, a=[0, 1], b=[0, 1, 2])
        a = importance(outcomes).fields[0]
        held += a.low <= 0.5 <= a.high  # type: ignore[operator]
    assert held >= 170


def test_few_seeds_have_shares_without_intervals_and_say_so() -> None:
    found = importance(runs(lambda at: at["a"] + at["seed"], 2, a=[0, 1], b=[0, 1]))
    assert (found.no_interval or "").startswith("Not enough runs: an interval needs 3 seeds")
    assert {(one.low, one.high) for one in found.fields} == {(None, None)}


def test_single_seed_cannot_tell_seeds_from_combinations() -> None:
    found = importance(runs(lambda at: at["a"] + at["a"] * at["b"], 1, a=[0, 1], b=[0, 1]))
    assert found.between_seeds is None
    assert sum(shares(found).values()) + (found.combinations or 0) == pytest.approx(1.0)


def without_one_cell(at: dict[str, Any]) -> float | None:
    return None if (at["a"], at["b"]) == (1, 1) else float(at["a"])


def without_one_run(at: dict[str, Any]) -> float | None:
    return None if at == {"a": 1, "b": 1, "seed": 0} else float(at["a"] + at["seed"] / 10)


@pytest.mark.parametrize(
    ("outcomes", "reason"),
    [
        (runs(lambda _: 1.0, 3), "No field differs between the runs."),
        (runs(lambda _: 1.0, 3, a=[0, 1]), "The result is the same in every run."),
        (runs(lambda _: 0.1 + 0.2, 3, a=[0, 1]), "The result is the same in every run."),
        (runs(lambda at: float(at["a"]), 1, a=[0, 1]), "Not enough runs: with one field, importance needs a second"),
        (runs(without_one_cell, 2, a=[0, 1], b=[0, 1]), "1 of 4 combinations have no result. 2 runs failed."),
        (runs(without_one_run, 1, a=[0, 1], b=[0, 1]), "1 of 4 combinations have no result. 1 run failed."),
        (runs(lambda at: float(at["a"]), 2, a=[0, 1], b=[0, 1])[:6], "The runs are no complete grid: 3 of 4"),
    ],
)
def test_what_has_no_shares_says_why(outcomes: list[RunOutcome], reason: str) -> None:
    found = importance(outcomes)
    assert found.reason is not None
    assert found.reason.startswith(reason)
    assert (found.fields, found.combinations, found.between_seeds) == ([], None, None)


def test_failed_run_takes_no_weight_from_its_combination() -> None:
    found = of(runs(without_one_run, 4, a=[0, 1], b=[0, 1]))
    a, _ = found.effects[0].fields
    assert [(one.value, one.runs, one.failed) for one in a] == [(0, 8, 0), (1, 7, 1)]
    # Seeds 0 to 3 are 1, 1.1, 1.2, 1.3; of one combination only the last three are there.
    assert a[1].mean == pytest.approx((1.15 + 1.2) / 2)
    importance = found.effects[0].importance
    assert (importance.runs, importance.seed_count, importance.reason) == (15, 4, None)
    total = (
        sum(one.share for one in importance.fields) + (importance.combinations or 0) + (importance.between_seeds or 0)
    )
    assert total == pytest.approx(1.0, abs=0.01)


def test_interval_of_a_value_is_students_t_over_the_seeds() -> None:
    # The seeds' means are 10, 11 and 15.
    numbers = {(0, 0): 9.0, (0, 1): 11.0, (1, 0): 10.0, (1, 1): 12.0, (2, 0): 20.0, (2, 1): 10.0}
    found = of(runs(lambda at: numbers[at["seed"], at["b"]] if at["a"] else 0.0, 3, a=[0, 1], b=[0, 1]))
    expected = interval([10.0, 11.0, 15.0])
    one = found.effects[0].fields[0][1]
    assert (one.mean, one.low, one.high) == (12.0, pytest.approx(expected.low), pytest.approx(expected.high))


def test_interval_is_missing_where_one_seed_alone_has_a_combination() -> None:
    found = of(runs(lambda at: None if at["b"] and at["seed"] else float(at["seed"]), 3, a=[0, 1], b=[0, 1]))
    _, b = found.effects[0].fields
    assert [(one.mean, one.low is None) for one in b] == [(1.0, False), (0.0, True)]
    assert [(one.low, one.high) for one in found.effects[0].importance.fields] == [(None, None)] * 2


def test_failed_run_is_told_apart_from_one_that_waits() -> None:
    failed, waits = runs(lambda _: None, 1, a=[0, 1])
    found = of([failed, waits.model_copy(update={"state": "queued", "cause": None, "message": None})])
    assert [(one.state, one.why) for one in found.trainings] == [
        ("failed", "diverged: the loss is inf"),
        ("queued", ""),
    ]
    assert [[one.failed for one in field] for field in found.effects[0].fields] == [[1, 0]]


def test_values_are_in_their_order_and_defaults_come_from_the_spec() -> None:
    def run(cell: dict[str, Any], **spec: Any) -> RunOutcome:
        full = {"rate": 0.1, "model": "cnn", "parameters": {"lr": 1}, "same": 5} | spec
        return RunOutcome(experiment="probe", spec=full, seed=0, cell=cell, result={"score": 1.0, "loss": 0.1})

    found = of([
        run({"experiment": "probe", "rate": 10.0, "parameters.lr": 3, "same": 5}, rate=10.0),
        run({"experiment": "probe", "same": 5}),
        run({"experiment": "probe", "rate": 2.0, "model": "mlp", "same": 5}, rate=2.0, model="mlp"),
    ])  # fmt: skip
    assert [(field.name, field.values) for field in found.fields] == [
        ("rate", [0.1, 2.0, 10.0]),
        ("parameters.lr", [1, 3]),
        ("model", ["cnn", "mlp"]),
    ]
    assert found.trainings[1].values == [0.1, 1, "cnn"]


def test_replicas_are_trainings_and_results_that_never_differ_come_last() -> None:
    replicas = [{"seed": seed, "same": 1, "loss": seed / 2} for seed in (4, 5)]
    cells = [{"rate": rate, "replicas": 2} for rate in (0.1, 0.2)]
    outcomes = [
        RunOutcome(experiment="probe", spec=cell, seed=4, cell=cell, result={"replicas": replicas}) for cell in cells
    ]
    found = of(outcomes, "loss")
    assert found.known_results == ["loss", "same"]
    assert [(one.seed, one.numbers) for one in found.trainings] == [(4, [2.0]), (5, [2.5])] * 2
    assert [field.name for field in found.fields] == ["rate"]


def test_numbers_too_large_to_square_are_none() -> None:
    found = of(runs(lambda at: 1e308 if at["a"] else float(at["seed"]), 3, a=[0, 1]))
    assert [one.runs for one in found.effects[0].fields[0]] == [3, 0]
    assert found.effects[0].importance.reason == "1 of 2 combinations have no result."
