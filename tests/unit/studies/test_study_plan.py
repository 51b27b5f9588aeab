"""A grid becomes runs: each once, and what is wrong with it is named."""

import pytest

from experiments.studies.plan import MAX_RUNS, PlanError, expand_grid, merge, plan_run, run_key, seed_blocks


def refused(**changes: object) -> PlanError:
    order = {"experiment": "dropout-linear", "base": {}, "grid": {"dropout": [0.0, 0.5]}, "seeds": [0, 1], **changes}
    with pytest.raises(PlanError) as caught:
        expand_grid(**order)  # type: ignore[arg-type]
    return caught.value


def test_grid_crosses_all_values_with_all_seeds() -> None:
    plan = expand_grid("dropout-linear", {"iterations": 5}, {"dropout": [0.0, 0.5], "batch_size": [1, 2, 4]}, [3, 7])
    assert len(plan.runs) == 12
    assert {run.seed for run in plan.runs} == {3, 7}
    assert {(run.cell["dropout"], run.cell["batch_size"]) for run in plan.runs if run.cell} == {
        (dropout, batch) for dropout in (0.0, 0.5) for batch in (1, 2, 4)
    }
    assert all(run.spec["iterations"] == 5 and run.spec["learning_rate"] == 1e-3 for run in plan.runs)


def test_grid_without_axes_is_one_spec_over_the_seeds() -> None:
    assert [run.seed for run in expand_grid("dropout-linear", {}, {}, [0, 1, 2]).runs] == [0, 1, 2]


def test_wrong_value_is_named_with_its_place_in_the_grid() -> None:
    error = refused(grid={"dropout": [0.0, 1.5]})
    assert [(wrong.path, wrong.value) for wrong in error.errors] == [(("grid", "dropout", 1), 1.5)]
    assert "grid.dropout.1" in str(error)


def test_wrong_value_in_base_is_named_in_base() -> None:
    assert refused(base={"iterations": 0}).errors[0].path == ("base", "iterations")


def test_combination_that_no_field_alone_explains_concerns_the_grid() -> None:
    grid = {"batch_size": [60_000], "iterations": [100_000]}
    assert refused(grid=grid).errors[0].path == ("grid",)


@pytest.mark.parametrize(
    ("changes", "path", "words"),
    [
        ({"experiment": "nope"}, ("experiment",), "unknown"),
        ({"grid": {"nope": [1]}}, ("grid", "nope"), "no such field"),
        ({"grid": {"dropout": []}}, ("grid", "dropout"), "at least one value"),
        ({"grid": {"dropout": "0.5"}}, ("grid", "dropout"), "a list"),
        ({"grid": {"dropout": [0.5, 0.5]}}, ("grid", "dropout", 1), "twice"),
        ({"base": {"dropout": 0.5}}, ("grid", "dropout"), "base"),
        ({"base": {"nope": 1}}, ("base", "nope"), "Extra inputs"),
        ({"seeds": []}, ("seeds",), "seeds"),
        ({"seeds": list(range(201))}, ("seeds",), "201"),
        ({"seeds": [0, 0]}, ("seeds", 1), "twice"),
        ({"seeds": [-1]}, ("seeds", 0), "whole number"),
        ({"seeds": [True]}, ("seeds", 0), "whole number"),
        ({"seeds": [2**63]}, ("seeds", 0), "whole number"),
    ],
)
def test_each_mistake_is_named(changes: dict[str, object], path: tuple[str | int, ...], words: str) -> None:
    error = refused(**changes).errors[0]
    assert error.path == path
    assert words in error.message


def test_number_of_runs_is_bounded_before_any_spec_is_checked() -> None:
    values = [place / 10_000 for place in range(1, 1_001)]
    error = refused(grid={"dropout": values, "learning_rate": values})
    assert error.errors[0].path == ("grid",)
    assert str(MAX_RUNS) in error.errors[0].message


def test_axis_longer_than_any_study_is_refused_at_once() -> None:
    assert "at most" in refused(grid={"dropout": [0.1] * 1_000_000}).errors[0].message


def test_equal_runs_of_several_questions_become_one_that_names_them_all() -> None:
    one = plan_run("dropout-linear", {"dropout": 0.5}, 0, "1d")
    same = plan_run("dropout-linear", {"dropout": 0.5, "bias": False}, 0, "1f")
    other_seed = plan_run("dropout-linear", {"dropout": 0.5}, 1, "1d")
    merged = merge([one, same, other_seed, one])
    assert [(run.seed, run.questions) for run in merged] == [(0, ("1d", "1f")), (1, ("1d",))]


def test_key_depends_on_what_is_run_and_on_nothing_else() -> None:
    one = plan_run("dropout-linear", {"dropout": 0.5}, 0, "1d")
    assert one.key == plan_run("dropout-linear", {"dropout": 0.5}, 0, "1e").key
    assert one.key == run_key("dropout-linear", dict(reversed(one.spec.items())), 0)
    assert one.key != plan_run("dropout-linear", {"dropout": 0.5}, 1, "1d").key
    assert one.key != plan_run("dropout-linear", {"dropout": 0.25}, 0, "1d").key


def test_seeds_train_together_in_blocks_that_later_seeds_leave_alone() -> None:
    assert seed_blocks([0, 1, 2, 3, 4]) == [(0, 5)]
    assert seed_blocks(range(10)) == [(0, 5), (5, 5)]
    assert seed_blocks([7, 3, 4, 5, 11]) == [(3, 2), (5, 1), (7, 1), (11, 1)]
    assert set(seed_blocks(range(5))) < set(seed_blocks(range(7)))


SCRIPT = {"program": "a" * 64, "command": ["python", "train.py"], "parameters": {"epochs": 3}}


def test_grid_over_parameters_of_a_program() -> None:
    grid = {"parameters.lr": [0.1, 0.01], "parameters.deep": [True, False]}
    plan = expand_grid("script", SCRIPT, grid, [0, 1])
    assert len(plan.runs) == 8
    assert plan.runs[0].cell == {"parameters.lr": 0.1, "parameters.deep": True}
    assert plan.runs[-1].spec["parameters"] == {"epochs": 3, "lr": 0.01, "deep": False}
    notebook = {"program": "a" * 64, "notebook": "a.ipynb"}
    assert len(expand_grid("notebook", notebook, {"parameters.rate": [1, 2, 3]}, [0]).runs) == 3


@pytest.mark.parametrize(
    ("grid", "path", "words"),
    [
        ({"parameters.epochs": [1, 2]}, ("grid", "parameters.epochs"), "is in base too"),
        ({"parameters.a b": [1]}, ("grid", "parameters.a b", 0), "String should match pattern"),
        ({"parameters.lr": [0.1, [2]]}, ("grid", "parameters.lr", 1), "Input should be"),
        ({"command.x": ["a"]}, ("grid", "command.x"), "no such field"),
        ({"parameters.": [1]}, ("grid", "parameters."), "no such field"),
        ({"parameters.lr": [1], "parameters": [{}]}, ("grid", "parameters.lr"), "the whole field is in the grid too"),
    ],
)
def test_mistake_in_a_grid_over_parameters_is_named(
    grid: dict[str, list[object]], path: tuple[str | int, ...], words: str
) -> None:
    with pytest.raises(PlanError) as caught:
        expand_grid("script", SCRIPT, grid, [0])  # type: ignore[arg-type]
    found = {error.path[: len(path)]: error.message for error in caught.value.errors}
    assert words in found[path]
