"""Every question of the homework is a template whose runs its experiments accept."""

import pytest

from experiments.registry import experiments
from experiments.studies.plan import PlanError, Scale
from experiments.studies.templates import SEEDS, expand, templates

QUESTIONS = [
    *(f"1{letter}" for letter in "abcdefghi"),
    *(f"2{letter}" for letter in "abcd"),
    *(f"3{letter}" for letter in "abcd"),
    *(f"4{letter}" for letter in "abcdef"),
    *(f"5{letter}" for letter in "abc"),
]


def test_there_is_a_template_for_each_question_part_and_the_whole() -> None:
    names = [f"course/{name}" for name in ["all", *"12345", *QUESTIONS]]
    assert sorted(templates()) == sorted(names)
    assert [question.slug for question in templates()["course/all"].questions] == QUESTIONS


@pytest.mark.parametrize("scale", list(Scale))
@pytest.mark.parametrize("datasets", [(), ("digits",), ("cifar10", "digits")])
def test_every_run_is_a_valid_spec_and_stands_once(scale: Scale, datasets: tuple[str, ...]) -> None:
    plan = expand("course/all", scale, datasets=datasets)
    assert len({run.key for run in plan.runs}) == len(plan.runs)
    for run in plan.runs:
        experiment = experiments()[run.experiment]
        assert experiment.spec.model_validate(run.spec).model_dump(mode="json") == run.spec
        assert run.questions
        assert set(experiment.datasets(experiment.spec.model_validate(run.spec))) <= {"digits", *datasets}


def test_every_question_gets_runs() -> None:
    plan = expand("course/all", Scale.SMOKE)
    assert {question for run in plan.runs for question in run.questions} == {f"course/{slug}" for slug in QUESTIONS}


def test_questions_share_their_runs() -> None:
    together = expand("course/1", Scale.CPU).runs
    apart = [run for letter in "abcdefghi" for run in expand(f"course/1{letter}", Scale.CPU).runs]
    assert len(together) < len(apart)
    assert {run.key for run in together} == {run.key for run in apart}


def test_computation_without_chance_runs_once() -> None:
    assert [run.seed for run in expand("course/1a", Scale.CPU, [3, 4, 5]).runs] == [0]


@pytest.mark.parametrize("template", ["course/1d", "course/2a", "course/4b", "course/5c"])
def test_more_seeds_keep_every_run_there_was(template: str) -> None:
    before = {run.key for run in expand(template, Scale.CPU, range(5)).runs}
    after = {run.key for run in expand(template, Scale.CPU, range(7)).runs}
    assert before < after


def test_neighbouring_seeds_of_the_bands_train_in_one_run() -> None:
    runs = expand("course/4c", Scale.CPU, range(5)).runs
    assert {(run.seed, run.spec["replicas"]) for run in runs} == {(0, 5)}


def test_noisy_question_trains_several_times_for_each_seed_and_more_seeds_leave_them() -> None:
    def seeds(count: int) -> set[int]:
        runs = [run for run in expand("course/4d", Scale.CPU, range(count)).runs if run.spec["kernel_size"] == 3]
        return {run.seed + replica for run in runs for replica in range(run.spec["replicas"])}

    assert seeds(5) == set(range(20))
    assert seeds(6) == set(range(24))
    (largest,) = expand("course/1d", Scale.CPU, [2**63 - 1]).runs
    assert largest.seed == 2**63 - 1
    assert all(run.seed < 2**63 for run in expand("course/4d", Scale.CPU, [2**63 - 1]).runs)


def test_scale_has_its_own_seeds_and_cpu_has_five_or_more() -> None:
    assert len(SEEDS[Scale.CPU]) >= 5
    assert len(SEEDS[Scale.SMOKE]) < len(SEEDS[Scale.FULL])


def test_stand_in_for_cifar10_is_said() -> None:
    without, with_it = (
        expand("course/1i", Scale.CPU, datasets=names) for names in (("digits",), ("cifar10", "digits"))
    )
    assert {run.spec["dataset"] for run in without.runs} == {"digits"}
    assert any("CIFAR-10" in note for note in without.notes)
    assert {run.spec["dataset"] for run in with_it.runs} == {"cifar10"}
    assert not any("CIFAR-10" in note for note in with_it.notes)
    assert not any("CIFAR-10" in note for note in expand("course/1a", Scale.CPU).notes)


def test_full_scale_has_the_homeworks_own_sizes() -> None:
    plan = expand("course/all", Scale.FULL, datasets=("cifar10",))
    memory = next(run.spec for run in plan.runs if run.experiment == "model-memory")
    assert (memory["model"], memory["image_size"], memory["batch_size"]) == ("resnet152", 224, 8)
    batches = [run.spec for run in plan.runs if run.experiment == "batch-size"]
    assert {(spec["images"], spec["image_size"], spec["epochs"], spec["model"]) for spec in batches} == {
        (4096, 224, 10, "resnet18")
    }
    cheating = next(run.spec for run in plan.runs if run.experiment == "dropout-cheating")
    assert (cheating["images"], cheating["epochs"], cheating["learning_rate"]) == (None, 10, 3e-3)


def test_unknown_template_is_named_with_those_there_are() -> None:
    with pytest.raises(PlanError, match="course/1a") as caught:
        expand("course/9z", Scale.CPU)
    assert caught.value.errors[0].path == ("template",)


def test_seeds_of_a_template_are_checked() -> None:
    with pytest.raises(PlanError) as caught:
        expand("course/1a", Scale.CPU, [0, 0])
    assert caught.value.errors[0].path == ("seeds", 1)
