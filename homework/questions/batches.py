"""Question 5c: batch size, speed and memory."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from emulator import is_emulated
from experiments.hosting.emulated import REASON
from experiments.studies.findings import (
    Comparison,
    FigureSpec,
    Least,
    Plot,
    Series,
    Table,
    compare_claim,
    compare_number,
)
from experiments.studies.intervals import Interval, interval
from experiments.studies.plan import Scale
from experiments.studies.question import Answer, Need, Question, Runs, Setting
from homework.questions.explanations import WHY_31, WHY_256
from homework.questions.memory import emulated_notes
from homework.shared import images_of

SLUG = "batch-size"
LARGEST = "max-batch"
MIB = 2**20
NO_GPU = "not measured: no GPU"
SPEED = Least(
    scale=Scale.CPU,
    because="these steps last milliseconds, and two seeds cannot separate a gain in speed from a busy machine",
)
SHEET_STARTS, SHEET_ENDS = 625, 875
"""Seconds on the sheet's clock at the ends of epochs 1 and 10 with batches of 16."""
SAVED_MIB_PER_IMAGE = 21.15
"""Activations that ResNet-18 saves for one image of 224 pixels, counted from the layers."""
MAX_LARGEST = 14_899 / SAVED_MIB_PER_IMAGE
"""No more images can be in a batch: their saved activations alone would fill what a program can have."""
MIN_LARGEST = 64 + (14_899 - 2738) * (256 - 64) / (8744 - 2738)
"""Where a line through the sheet's readings at 64 and 256 reaches what a program can have of its T4."""


def _needs(setting: Setting) -> list[Need]:
    small = {"images": 64, "epochs": 2, "image_size": 32, "validation_images": 50}
    medium = {"images": 256, "epochs": 5, "image_size": 32, "validation_images": 100}
    emulated = {"images": 512, "epochs": 1, "image_size": 224, "validation_images": 128}
    if is_emulated():
        return [*_trained(setting, emulated, (4, 16, 64, 256)), Need(LARGEST, seeded=False)]
    sizes = setting.pick(smoke=small, cpu=medium, full={"image_size": 224})
    batches = setting.pick(smoke=(4, 16, 64), cpu=(4, 16, 64, 256), full=(4, 16, 64, 256))
    return [*_trained(setting, sizes, batches), Need(LARGEST, seeded=False)]


def _trained(setting: Setting, sizes: Mapping[str, int], batches: Sequence[int]) -> list[Need]:
    return [Need(SLUG, {**sizes, "dataset": images_of(setting), "batch_size": batch}) for batch in batches]


def _answer(runs: Runs) -> Answer:
    by_batch = runs.where(SLUG).by("batch_size")
    largest = _largest(runs.where(LARGEST).first)
    if len(by_batch) < 2:
        return Answer([_slip(), *largest])
    if runs.emulated:
        notes = [WHY_256, WHY_31, *emulated_notes(runs), f"Speed and accuracy are not known: {REASON}."]
        return Answer([_slip(), _slope(by_batch), *largest], _table(by_batch), [_memory_figure(by_batch)], notes)
    comparisons = [_slip(), _fastest(by_batch), _throughput(by_batch), _slope(by_batch), *largest]
    notes = [WHY_256, WHY_31, "Accuracy after equal epochs mixes batch, rate and number of updates."]
    return Answer(comparisons, _table(by_batch), _figures(by_batch), notes)


def _largest(result: Mapping[str, Any] | None) -> list[Comparison]:
    """5c i: the largest batch of ResNet-18 at 224 pixels that the sheet's T4 holds."""
    ours = None if result is None else result["largest_batch_size"]
    comparison = compare_claim(
        "largest batch of ResNet-18 at 224 pixels that fits into the 14,899 MiB a program can have of a T4",
        sheet=None,
        correct=f"{MIN_LARGEST:.0f} to {MAX_LARGEST:.0f}",
        correct_source="a line through the sheet's readings; saved activations that alone fill the card",
        ours=ours,
        ours_is_right=None if ours is None else MIN_LARGEST <= ours <= MAX_LARGEST,
        because="found by prediction, without running out of memory once"
        if result is None or result["confirmed_batch_size"] is None
        else f"found by prediction; real steps fitted at {result['confirmed_batch_size']}",
    )
    return [comparison]


def _slip() -> Comparison:
    return compare_number(
        "seconds with batches of 16, from the sheet's own clock",
        sheet=220,
        correct=250,
        correct_source="875 − 625",
        ours=float(SHEET_ENDS - SHEET_STARTS),
        tolerance=0,
        because="a slip in the subtraction",
    )


def _fastest(by_batch: Mapping[int, Runs]) -> Comparison:
    seconds = {batch: fmean(values) for batch, runs in by_batch.items() if (values := runs.values("elapsed_seconds"))}
    best = min(seconds, key=lambda batch: seconds[batch])
    gap = _paired(by_batch[16], by_batch[max(by_batch)], "elapsed_seconds") if 16 in by_batch else None
    return compare_claim(
        f"seconds after epoch 1: batches of 16 less batches of {max(by_batch)}",
        sheet="16 is fastest",
        correct="above 0: the larger the faster; 256 on the sheet's own clock (235 s)",
        correct_source="fewer and fuller steps",
        ours=gap,
        ours_is_right=None if gap is None or gap.sign == 0 else gap.sign > 0,
        sheet_is_right=best == 16,
        because=f"here batches of {best} are fastest, {seconds[best]:.1f} s",
        differs_because="on this machine the larger batch is no faster",
        least=SPEED,
    )


def _throughput(by_batch: Mapping[int, Runs]) -> Comparison:
    smallest, largest = min(by_batch), max(by_batch)
    gain = _paired(by_batch[largest], by_batch[smallest], "images_per_second")
    return compare_claim(
        f"images a second: batches of {largest} less batches of {smallest}",
        sheet=None,
        correct="above 0",
        correct_source="the sheet's rows: 314 against 191",
        ours=gain,
        ours_is_right=None if gain is None or gain.sign == 0 else gain.sign > 0,
        because="each step has a cost of its own",
        least=SPEED,
    )


def _slope(by_batch: Mapping[int, Runs]) -> Comparison:
    measured = {batch: runs.interval("memory_used_bytes") for batch, runs in by_batch.items()}
    known = [(batch, ours.mean) for batch, ours in measured.items() if ours is not None]
    saved = next(iter(by_batch.values())).values("saved_activation_bytes_per_image")
    a = fmean(saved) / MIB if saved else 0.0
    ours = (known[-1][1] - known[-2][1]) / (known[-1][0] - known[-2][0]) / MIB if len(known) > 1 else None
    return compare_claim(
        "device memory for each further image of a batch, MiB",
        sheet="31.3 (64 to 256)",
        correct=f"at least the saved activations: {a:.2f} at this size, {SAVED_MIB_PER_IMAGE} at 224 pixels",
        correct_source="counted from the layers",
        ours=ours,
        ours_is_right=ours is not None and ours > 0.9 * a,
        because="activations grow with the batch, with workspaces and rounding on top; gradients of parameters do not",
        not_measured_because=NO_GPU,
    )


def _paired(one: Runs, other: Runs, name: str) -> Interval | None:
    first, second = (
        {outcome.seed: outcome.result[name] for outcome in runs if outcome.result} for runs in (one, other)
    )
    pairs = [first[seed] - second[seed] for seed in sorted(first.keys() & second.keys())]
    return interval(pairs) if pairs else None


def _table(by_batch: Mapping[int, Runs]) -> Table:
    sheet = {4: (386, 1624), 16: (250, 1706), 64: (244, 2738), 256: (235, 8744)}
    rows = [
        (
            batch,
            runs.first["learning_rate"],
            runs.interval("elapsed_seconds"),
            runs.interval("images_per_second"),
            runs.interval("final_accuracy"),
            runs.interval("best_accuracy"),
            runs.interval("final_validation_accuracy"),
            runs.interval(lambda one: None if one["memory_used_bytes"] is None else one["memory_used_bytes"] / MIB),
            round(runs.first["saved_activation_bytes_per_image"] / MIB, 3),
            *sheet.get(batch, (None, None)),
        )
        for batch, runs in by_batch.items()
        if runs.first
    ]
    return Table(
        caption="One row a batch size; the sheet's columns are of a Tesla T4 at 224 pixels, its seconds recomputed",
        columns=(
            *("batch", "learning rate", "seconds after epoch 1", "images/s", "training accuracy", "its best"),
            *("validation accuracy", "device MiB", "saved MiB an image", "sheet: seconds", "sheet: MiB"),
        ),
        rows=tuple(rows),
    )


def _figures(by_batch: Mapping[int, Runs]) -> list[FigureSpec]:
    known = {batch: result for batch, runs in by_batch.items() if (result := runs.first)}
    accuracy = Plot(
        title="Training accuracy, first seed",
        x_label="seconds after the end of epoch 1",
        y_label="accuracy",
        series=tuple(
            Series(
                label=f"batch {batch}",
                kind="line",
                x=tuple(row["elapsed_seconds"] for row in result["rows"]),
                y=tuple(row["accuracy"] for row in result["rows"]),
            )
            for batch, result in known.items()
        ),
    )
    figures = [
        FigureSpec(
            name="5c-accuracy",
            title="Accuracy over time",
            alt="Training accuracy over seconds since the end of epoch 1, one line a batch size.",
            panels=(accuracy,),
            columns=1,
        )
    ]
    return [*figures, _memory_figure(by_batch)]


def _memory_figure(by_batch: Mapping[int, Runs]) -> FigureSpec:
    known = {batch: result for batch, runs in by_batch.items() if (result := runs.first)}
    emulated = next(filter(None, (runs.emulated for runs in by_batch.values())), None)
    batches = tuple(map(float, known))
    computed = tuple(_live_mib(batch, result) for batch, result in known.items())
    measured = [
        (float(batch), result["memory_used_bytes"] / MIB)
        for batch, result in known.items()
        if result["memory_used_bytes"]
    ]
    predicted = [
        (float(batch), result["prediction"]["peak_device_bytes"]["likely_bytes"] / MIB)
        for batch, result in known.items()
        if result.get("prediction")
    ]
    series = [Series(label="computed: 3 × parameters + batch × activations", kind="line", x=batches, y=computed)]
    if measured:
        series.append(
            Series(
                label=emulated or "measured on the device",
                kind="dots",
                x=tuple(x for x, _ in measured),
                y=tuple(y for _, y in measured),
            )
        )
    if predicted:
        x, y = zip(*predicted, strict=True)
        series.append(Series(label="predicted for a GPU, context included", kind="line", x=x, y=y))
    title = "Device" if measured else "Computed: 3 × parameters + batch × activations"
    plot = Plot(title=title, x_label="batch size", y_label="MiB", x_log=True, series=tuple(series))
    alt = "Memory against batch size: parameters, gradients and momentum, and the activations of the batch."
    return FigureSpec(name="5c-memory", title="Memory against batch size", alt=alt, panels=(plot,), columns=1)


def _live_mib(batch: int, result: Mapping[str, Any]) -> float:
    size_bytes = 3 * result["parameter_bytes"] + batch * result["saved_activation_bytes_per_image"]
    return float(size_bytes / MIB)


BATCH_QUESTIONS = (
    Question(
        "5c",
        "Batch size",
        "Train ResNet-18 at several batch sizes with a learning rate that follows them: time, memory and accuracy.",
        _needs,
        _answer,
    ),
)
