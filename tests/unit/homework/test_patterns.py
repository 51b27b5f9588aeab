"""Parts 1i, 4 and 5: patterns over seeds are judged by intervals, and by nothing else."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from experiments.studies.findings import Comparison, QuestionReport, Verdict
from experiments.studies.intervals import Interval
from experiments.studies.outcome import RunOutcome
from experiments.studies.plan import RunPlan, Scale
from experiments.studies.templates import expand
from homework.course import COURSE

Make = Callable[..., dict[str, Any]]
SEEDS = range(5)


def bands(question: str, accuracy: Callable[[dict[str, Any], int], Any], replica: Make) -> QuestionReport:
    """The report on runs whose validation accuracy (or whole replica) is a function of spec and seed."""
    outcomes: list[RunOutcome] = []
    for run in expand(f"course/{question}", Scale.CPU, SEEDS).runs:
        seeds = range(run.seed, run.seed + run.spec["replicas"])
        values = [(seed, accuracy(run.spec, seed)) for seed in seeds]
        replicas = [value if isinstance(value, dict) else replica(seed, value) for seed, value in values]
        outcomes.append(outcome(run, {"replicas": replicas, "epochs": [0, run.spec["epochs"]]}))
    return COURSE.report(question, outcomes)


def outcome(run: RunPlan, result: dict[str, Any] | None, **changes: Any) -> RunOutcome:
    fields = {"experiment": run.experiment, "spec": run.spec, "seed": run.seed, "questions": run.questions}
    return RunOutcome(**fields, cell=dict(run.cell or {}), result=result, device="cpu", **changes)


def one(found: QuestionReport, quantity: str) -> Comparison:
    return next(comparison for comparison in found.comparisons if quantity in comparison.quantity)


JITTER = (-0.02, -0.01, 0.0, 0.01, 0.02) * 4


def test_head_start_of_the_detectors_needs_an_interval_above_zero(replica: Make) -> None:
    def accuracy(head_start: float) -> Callable[[dict[str, Any], int], float]:
        return lambda spec, seed: (
            0.5
            + JITTER[seed] * (1 if spec["model"] == "cnn" else -3)
            + (head_start if spec["model"] == "edge_frozen" else 0)
        )

    verdicts = [one(bands("4b", accuracy(gap), replica), "fixed edge").verdict for gap in (0.4, 0.0, -0.4)]
    assert verdicts == [Verdict.AGREES, Verdict.UNDECIDED, Verdict.DIFFERS]


def pooled(gap: float, replica: Make, n: int = 10, spread: Sequence[float] = JITTER) -> QuestionReport:
    """Max pooling ahead of average by `gap` on average, and by `2 * spread` more or less for each seed."""

    def accuracy(spec: dict[str, Any], seed: int) -> dict[str, Any]:
        sign = {"max": 1, "average": -1}[spec["pooling"]]
        return replica(seed, 0.6 + sign * (gap / 2 + spread[seed]), confusion=[[10] * 5] * 5)

    return bands("4f", accuracy, replica)


@pytest.mark.parametrize(
    ("gap", "n", "verdict", "because"),
    [
        (0.2, 10, Verdict.AGREES, "max is better"),
        (-0.2, 10, Verdict.SHEET_IS_WRONG, "average is better"),
        (0.2, 50, Verdict.SHEET_IS_WRONG, "max is better"),
        (0.0, 10, Verdict.SHEET_IS_WRONG, "max is better for 2 of 5 seeds, average for 2: a single seed cannot"),
    ],
)
def test_sheets_ranking_of_poolings_is_judged_over_seeds(
    replica: Make, gap: float, n: int, verdict: Verdict, because: str
) -> None:
    found = one(pooled(gap, replica), f"pooling, {n} images")
    assert found.verdict is verdict
    assert because in found.because


def test_poolings_stay_unranked_while_no_seed_says_the_opposite(replica: Make) -> None:
    found = one(pooled(0.08, replica, spread=(0.12, -0.04, -0.04, -0.02, -0.02)), "pooling, 10 images")
    assert found.verdict is Verdict.UNDECIDED


def test_one_seeds_difference_of_poolings_is_held_against_its_spread(replica: Make) -> None:
    assert one(pooled(0.01, replica), "deviation over seeds").verdict is Verdict.AGREES
    assert one(pooled(0.2, replica), "deviation over seeds").verdict is Verdict.DIFFERS


def test_dense_network_that_knows_its_domain_contradicts_the_sheet(replica: Make) -> None:
    def shifted(inside: float) -> Callable[[dict[str, Any], int], Any]:
        swapped = [[5, 40, 5], [40, 5, 5], [0, 0, 50]]
        return lambda spec, seed: (
            replica(seed, 0.4, train_accuracy=inside + JITTER[seed] / 10, confusion=swapped)
            if spec["model"] == "mlp"
            else replica(seed, 0.9)
        )

    found = bands("4d", shifted(0.99), replica)
    assert one(found, "can it tell").verdict is Verdict.SHEET_IS_WRONG
    assert one(found, "called by the other").verdict is Verdict.AGREES
    assert one(found, "classifies correctly").verdict is Verdict.AGREES
    assert one(bands("4d", shifted(0.4), replica), "can it tell").verdict is Verdict.DIFFERS


def test_permutation_must_not_move_the_dense_network(replica: Make) -> None:
    def accuracy(change: float) -> Callable[[dict[str, Any], int], float]:
        return lambda spec, seed: 0.7 + JITTER[seed] + (change if spec["permute_pixels"] else 0.002 * seed)

    assert one(bands("4e", accuracy(0.004), replica), "MLP on permuted").verdict is Verdict.AGREES
    assert one(bands("4e", accuracy(0.2), replica), "MLP on permuted").verdict is Verdict.DIFFERS


def test_collapsed_trainings_are_named_and_counted(replica: Make) -> None:
    def trained(spec: dict[str, Any], seed: int) -> dict[str, Any]:
        dead = seed == 3 and spec["model"] == "cnn"
        return replica(seed, 1 / 3 if dead else 1.0, collapsed=dead, dead_features=3 * dead)

    found = bands("4a", trained, replica)
    assert len(found.collapsed) == 2
    assert all("seed 3" in line for line in found.collapsed)
    assert found.table is not None
    collapsed = found.table.columns.index("collapsed")
    assert [row[collapsed] for row in found.table.rows] == [1, 1, 0]
    assert any("2 of 25 trainings" in note and "in 2 all 3 units" in note for note in found.notes)


@pytest.mark.parametrize(
    ("worst", "collapsed", "verdict"),
    [(1.0, False, Verdict.AGREES), (1 / 3, True, Verdict.AGREES), (0.9, False, Verdict.DIFFERS)],
)
def test_small_set_is_learnt_by_every_seed_that_did_not_collapse(
    replica: Make, worst: float, collapsed: bool, verdict: Verdict
) -> None:
    def trained(_: dict[str, Any], seed: int) -> dict[str, Any]:
        return replica(seed, worst if seed == 3 else 1.0, collapsed=collapsed and seed == 3, dead_features=3)

    found = one(bands("4a", trained, replica), "training accuracy of the CNN, 1500")
    assert found.verdict is verdict
    assert ("1 collapsed" in found.because) == collapsed


def test_one_seed_that_knows_its_images_shows_that_500_epochs_can_do(replica: Make) -> None:
    def trained(reached: int) -> Callable[[dict[str, Any], int], float]:
        return lambda _, seed: 1.0 if seed < reached else 0.8

    some, none = (one(bands("4a", trained(count), replica), "best training accuracy") for count in (3, 0))
    assert (some.verdict, none.verdict) == (Verdict.AGREES, Verdict.DIFFERS)
    assert "3 of 20 seeds" in some.because


@pytest.mark.parametrize(
    ("ahead", "noise", "verdict"),
    [(0.0, 1, Verdict.AGREES), (0.0, 10, Verdict.UNDECIDED), (-0.2, 1, Verdict.DIFFERS)],
)
def test_frugal_cnn_is_not_called_so_by_an_interval_that_tells_nothing(
    replica: Make, ahead: float, noise: float, verdict: Verdict
) -> None:
    def accuracy(spec: dict[str, Any], seed: int) -> float:
        return 0.7 + (ahead + noise * JITTER[seed]) * (spec["model"] == "cnn")

    assert one(bands("4c", accuracy, replica), "less MLP at 80").verdict is verdict


def test_trained_cnn_passes_the_detectors_by_the_seeds_that_learnt(replica: Make) -> None:
    def trained(ahead: float) -> Callable[[dict[str, Any], int], Any]:
        def accuracy(spec: dict[str, Any], seed: int) -> dict[str, Any]:
            dead = spec["model"] == "cnn" and seed == 0
            value = 0.9 + (ahead + JITTER[seed] / 2) * (spec["model"] == "cnn")
            return replica(seed, 1 / 3 if dead else value, collapsed=dead)

        return accuracy

    passed, not_yet = (one(bands("4b", trained(ahead), replica), "trained CNN less") for ahead in (0.05, -0.05))
    assert (passed.verdict, not_yet.verdict) == (Verdict.AGREES, Verdict.DIFFERS)
    assert isinstance(passed.ours, Interval)
    assert passed.ours.n == 4


def cheating(
    clean: Callable[[float, int], float], dataset: str = "cifar10", dead: Sequence[int] = ()
) -> QuestionReport:
    """`dead` are the seeds of undropped runs with the ReLU in which five classes died."""
    outcomes: list[RunOutcome] = []
    for run in expand("course/1i", Scale.CPU, SEEDS, (dataset,)).runs:
        rate = run.spec["dropout"]
        cheat = 0.99 - rate / 5
        row = {"epoch": 1, "cheat_accuracy": cheat, "clean_accuracy": clean(rate, run.seed), "dead_classes": 0}
        died = run.seed in dead and rate == 0 and run.spec["relu_on_logits"]
        classes = list(range(5)) if died else []
        result = {**row, "dead_classes": classes, "epochs": [row], "clean_accuracy_at_target": None}
        outcomes.append(outcome(run, {**result, "cheat_accuracy": cheat / (2 if died else 1) + JITTER[run.seed] / 10}))
    return COURSE.report("1i", outcomes)


def test_order_of_the_sheets_numbers_is_judged_over_seeds() -> None:
    kept = cheating(lambda rate, seed: 0.11 + rate / 4 + JITTER[seed] * rate / 2)
    assert one(kept, "without the code: dropout").verdict is Verdict.AGREES
    assert one(kept, "without the code, no").verdict is Verdict.AGREES
    turned = cheating(lambda rate, seed: 0.5 - rate / 4 + JITTER[seed] * rate / 2)
    assert one(turned, "without the code: dropout").verdict is Verdict.DIFFERS
    assert one(turned, "without the code, no").verdict is Verdict.DIFFERS


def test_pictures_of_dead_classes_do_not_count_in_the_order_and_runs_with_them_are_counted() -> None:
    found = cheating(lambda rate, _: 0.11 + rate / 4, dead=SEEDS[:3])
    order = one(found, "with the code: dropout")
    assert order.verdict is Verdict.AGREES
    assert "which 3 runs had" in order.because
    assert "dead" not in one(cheating(lambda rate, _: 0.11 + rate / 4), "with the code: dropout").because


def test_digits_that_stood_in_are_said_to() -> None:
    found = cheating(lambda rate, seed: 0.9 + JITTER[seed] * (1 + rate), dataset="digits")
    assert any("digits replaced" in note for note in found.notes)
    assert "digits" in one(found, "without the code, no").because


def memory(device: str, used: Sequence[int | None], allocated: Sequence[int | None]) -> list[RunOutcome]:
    P = 232_657_192
    outcomes: list[RunOutcome] = []
    plan = expand("course/5", Scale.CPU, [0])
    for run in (run for run in plan.runs if run.experiment == "model-memory"):
        place = ("sgd", "sgd_momentum", "adam").index(run.spec["optimizer"])
        reading = {
            **dict.fromkeys(("peak_allocated_bytes", "reserved_bytes"), None),
            "parameter_bytes": P,
            "gradient_bytes": P,
            "optimizer_state_bytes": place * P,
            "host_rss_bytes": 10**9,
            "allocated_bytes": allocated[place],
            "device_used_bytes": used[place],
        }
        moments = ("after_model", "after_backward", "after_step", "after_second_step")
        result = {
            "parameter_count": 58_164_298,
            "parameter_bytes": P,
            "gradient_bytes": P,
            "optimizer_state_bytes": place * P,
            "buffer_bytes": 606_936,
            "saved_activation_bytes": 10**9,
            "context_bytes": used[0] and 500 * 2**20,
            "overhead_bytes": used[0] and 520 * 2**20,
            "readings": [{"moment": moment, **reading} for moment in moments],
        }
        outcomes.append(outcome(run, result, device_name="Tesla T4" if device == "cuda" else None))
    return [run.model_copy(update={"device": device}) for run in outcomes]


def test_without_a_gpu_exact_bytes_count_and_the_rest_is_not_measured() -> None:
    outcomes = memory("cpu", [None] * 3, [None] * 3)
    found = COURSE.report("5b", outcomes)
    assert one(found, "state of Adam").verdict is Verdict.SHEET_IS_WRONG
    assert one(found, "state of SGD, bytes").verdict is Verdict.AGREES
    for quantity in ("allocated after", "device in use"):
        assert one(found, quantity).verdict is Verdict.NOT_MEASURED
        assert one(found, quantity).because == "not measured: no GPU"
    size = COURSE.report("5a", outcomes)
    assert one(size, "parameters").verdict is Verdict.AGREES
    assert one(size, "sheet's own reading").verdict is Verdict.SHEET_IS_WRONG
    assert one(size, "on this lab's device").verdict is Verdict.NOT_MEASURED


def test_with_a_gpu_readings_are_judged() -> None:
    P, used = 232_657_192, [3 * 10**9, 3 * 10**9 + 1, 3 * 10**9 + 2]
    found = COURSE.report("5b", memory("cuda", used, [10**9, 10**9 + P, 10**9 + 2 * P]))
    assert one(found, "allocated after").verdict is Verdict.SHEET_IS_WRONG
    assert one(found, "device in use").verdict is Verdict.AGREES
    shrunk = COURSE.report("5b", memory("cuda", used[::-1], [10**9] * 3))
    assert one(shrunk, "allocated after").verdict is Verdict.DIFFERS
    assert one(shrunk, "device in use").verdict is Verdict.DIFFERS
    assert one(COURSE.report("5a", memory("cuda", used, used)), "GPU's model").ours == "Tesla T4"


def batch_sizes(seconds: Callable[[int], float], largest: int | None = 689) -> QuestionReport:
    outcomes: list[RunOutcome] = []
    for run in expand("course/5c", Scale.CPU, SEEDS, ("cifar10",)).runs:
        if run.experiment == "max-batch":
            outcomes.append(outcome(run, {"largest_batch_size": largest, "confirmed_batch_size": None}))
            continue
        taken = seconds(run.spec["batch_size"]) + JITTER[run.seed] * run.spec["batch_size"] ** 0.5
        result = {
            "elapsed_seconds": taken,
            "images_per_second": 1000 / taken,
            "final_accuracy": 0.5,
            "best_accuracy": 0.5,
            "final_validation_accuracy": 0.4,
            "memory_used_bytes": None,
            "saved_activation_bytes_per_image": 450_000.0,
            "parameter_bytes": 44_726_568,
            "learning_rate": 1e-3,
            "rows": [{"elapsed_seconds": 0.0, "accuracy": 0.3}, {"elapsed_seconds": taken, "accuracy": 0.5}],
        }
        outcomes.append(outcome(run, result))
    return COURSE.report("5c", outcomes)


@pytest.mark.parametrize(
    ("seconds", "verdict"),
    [
        (lambda batch: 100 / batch**0.5, Verdict.SHEET_IS_WRONG),
        (lambda batch: 10.0 if batch == 16 else 40.0, Verdict.DIFFERS),
        (lambda _batch: 20.0, Verdict.UNDECIDED),
    ],
)
def test_fastest_batch_size_is_what_the_clock_says(seconds: Callable[[int], float], verdict: Verdict) -> None:
    found = batch_sizes(seconds)
    assert one(found, "seconds after epoch 1").verdict is verdict
    assert one(found, "sheet's own clock").verdict is Verdict.SHEET_IS_WRONG
    assert one(found, "device memory").verdict is Verdict.NOT_MEASURED


@pytest.mark.parametrize(
    ("largest", "verdict"),
    [
        (454, Verdict.AGREES),
        (689, Verdict.AGREES),
        (300, Verdict.DIFFERS),
        (720, Verdict.DIFFERS),
        (None, Verdict.NOT_MEASURED),
    ],
)
def test_largest_batch_lies_between_the_sheets_line_and_what_activations_alone_would_fill(
    largest: int | None, verdict: Verdict
) -> None:
    found = batch_sizes(lambda _batch: 20.0, largest)
    assert one(found, "largest batch").verdict is verdict


def test_kernels_shown_are_of_a_seed_that_learnt(replica: Make) -> None:
    kernels = [[[float(row) for _ in range(7)] for row in range(7)]] * 3
    found = bands(
        "4a",
        lambda _, seed: replica(seed, 1.0, collapsed=seed < 2, kernels_before=kernels, kernels_after=kernels),
        replica,
    )
    figure = next(figure for figure in found.figures if figure.name == "4a-kernels")
    assert "seed 2" in figure.alt
