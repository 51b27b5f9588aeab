"""What questions 4a to 4f share: reading the replicas of `edge-bands`, their tables and figures."""

from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

from experiments.studies.findings import Cell, FigureSpec, Heat, Plot, Series, Table
from experiments.studies.intervals import Interval, interval
from experiments.studies.question import Need, Runs

SLUG = "edge-bands"
NAMES = {"cnn": "CNN", "mlp": "MLP", "edge_frozen": "fixed edge detectors"}
HORIZONTAL, VERTICAL, NONE = range(3)
CHANCE = 1 / 3
CHANNELS = 3

Result = dict[str, Any]


def need(*, trainings: int = 1, **fields: Any) -> Need:
    """Runs of `edge-bands` with these fields."""
    return Need(SLUG, fields, trainings=trainings)


def cells(runs: Runs, *names: str) -> list[tuple[tuple[Any, ...], Runs]]:
    """The runs split by these fields of the spec, in ascending order of the values."""
    keys = sorted({tuple(outcome.spec[name] for name in names) for outcome in runs})
    return [(key, runs.where(SLUG, **dict(zip(names, key, strict=True)))) for key in keys]


def accuracy(runs: Runs) -> Interval | None:
    """Validation accuracy over the seeds."""
    return runs.interval("validation_accuracy")


def difference(
    one: Runs, other: Runs, read: str | Callable[[Result], float] = "validation_accuracy"
) -> Interval | None:
    """Mean of the `differences`."""
    pairs = differences(one, other, read)
    return interval(pairs) if pairs else None


def differences(one: Runs, other: Runs, read: str | Callable[[Result], float] = "validation_accuracy") -> list[float]:
    """Differences of a number, one for each seed that both have: they share images and the order of training."""
    reader = (lambda result: result[read]) if isinstance(read, str) else read
    first, second = ({result["seed"]: reader(result) for result in runs.results} for runs in (one, other))
    return [first[seed] - second[seed] for seed in sorted(first.keys() & second.keys())]


def recall(place: int) -> Callable[[Result], float]:
    """Share of the validation images of a class that are classified correctly."""
    return lambda result: float(result["confusion"][place][place] / sum(result["confusion"][place]))


def band_recall(result: Result) -> float:
    """Mean recall of horizontal and vertical."""
    return fmean(recall(place)(result) for place in (HORIZONTAL, VERTICAL))


def other_direction(result: Result) -> float:
    """Share of the straight bands that are called by the other direction."""
    counts = result["confusion"]
    wrong: int = counts[HORIZONTAL][VERTICAL] + counts[VERTICAL][HORIZONTAL]
    return float(wrong / (sum(counts[HORIZONTAL]) + sum(counts[VERTICAL])))


def called_none(result: Result) -> float | None:
    """Share of the misclassified straight bands that are called none; None if none is misclassified."""
    counts = result["confusion"]
    none: int = counts[HORIZONTAL][NONE] + counts[VERTICAL][NONE]
    wrong = none + counts[HORIZONTAL][VERTICAL] + counts[VERTICAL][HORIZONTAL]
    return float(none / wrong) if wrong else None


def orientation(kernels: Sequence[Sequence[Sequence[float]]]) -> float:
    """Mean over kernels of the larger share of variance that row means or column means explain: 1 for pure stripes."""
    return fmean(max(_explained(kernel), _explained(list(zip(*kernel, strict=True)))) for kernel in kernels)


def _explained(kernel: Sequence[Sequence[float]]) -> float:
    mean = fmean(value for row in kernel for value in row)
    total = sum((value - mean) ** 2 for row in kernel for value in row)
    between = sum(len(row) * (fmean(row) - mean) ** 2 for row in kernel)
    return between / total if total else 0.0


def orientation_gain(result: Result) -> float | None:
    """How much more striped the first kernels are after training; None for a network without kernels."""
    if not result.get("kernels_before"):
        return None
    return orientation(result["kernels_after"]) - orientation(result["kernels_before"])


def accuracy_table(runs: Runs, *names: str, caption: str = "Accuracy after the last epoch") -> Table:
    """A row for each combination of these fields."""
    rows: list[tuple[Cell, ...]] = []
    for key, some in cells(runs, *names):
        values = some.values("validation_accuracy")
        rows.append(
            (
                NAMES[key[0]],
                *key[1:],
                accuracy(some),
                *(None if not values else round(end(values), 3) for end in (min, max)),
                some.interval("train_accuracy"),
                len(values),
                sum(result["collapsed"] for result in some.results),
            )
        )
    headings = tuple(name.replace("_", " ") for name in names)
    numbers = ("validation accuracy", "least", "greatest", "training accuracy", "seeds", "collapsed")
    return Table(caption=caption, columns=(*headings, *numbers), rows=tuple(rows))


def collapse_notes(runs: Runs) -> list[str]:
    """How many trainings of the CNN collapsed, and why, as far as the results say."""
    trained = runs.where(SLUG, model="cnn").results
    collapsed = [result for result in trained if result["collapsed"]]
    if not collapsed:
        return []
    dead = sum(result["dead_features"] == CHANNELS for result in collapsed)
    why = (
        f"in {dead} all {CHANNELS} units before the last layer were 0 for every image, and no gradient passes a shut "
        "ReLU, so that no further epoch can wake them"
    )
    rest = f"{len(collapsed) - dead} had live units and had not left the start yet: more epochs would help"
    words = [why] * (dead > 0) + [rest] * (dead < len(collapsed))
    count = f"{len(collapsed)} of {len(trained)} trainings of the CNN"
    return [f"{count} ended with the same class for every image: {'; '.join(words)}."]


def accuracy_figure(name: str, title: str, lines: Sequence[tuple[str, Runs]], level: float | None = None) -> FigureSpec:
    """Validation accuracy against images a class, with 95 % intervals; one line for each of the named runs."""
    series: list[Series] = []
    for place, (label, runs) in enumerate(lines):
        found = [(n, ours) for n, some in runs.by("images_per_class").items() if (ours := accuracy(some)) is not None]
        x = tuple(float(n) for n, _ in found)
        y = tuple(ours.mean for _, ours in found)
        low, high = (tuple(min(max(end(ours), 0.0), 1.0) for _, ours in found) for end in (_low, _high))
        series.append(Series(label=label, kind="line", x=x, y=y, color=place))
        series.append(Series(label="", kind="dots", x=x, y=y, low=low, high=high, color=place))
    plot = Plot(
        title="Validation accuracy",
        x_label="training images of each class",
        y_label="accuracy",
        series=tuple(series),
        y_range=(0.0, 1.03),
        level=level,
        level_label="" if level is None else f"{level:.2f}",
    )
    ends = "; ".join(f"{label}: {_ends(runs)}" for label, runs in lines)
    alt = f"Validation accuracy against images of each class, 95 % intervals over the seeds. {ends}."
    return FigureSpec(name=name, title=title, alt=alt, panels=(plot,), columns=1)


def _low(ours: Interval) -> float:
    return ours.low


def _high(ours: Interval) -> float:
    return ours.high


def _ends(runs: Runs) -> str:
    found = [
        f"{fmean(values):.2f} at {n}"
        for n, some in runs.by("images_per_class").items()
        if (values := some.values("validation_accuracy"))
    ]
    return ", ".join([found[0], found[-1]] if len(found) > 1 else found)


def curve_figure(name: str, title: str, lines: Sequence[tuple[str, Runs]]) -> FigureSpec:
    """Accuracy and loss against epochs: means over the seeds, training dashed, validation solid."""
    panels = tuple(
        Plot(
            title=heading,
            x_label="epoch",
            y_label=unit,
            series=tuple(_curves(lines, kind)),
            y_log=kind == "losses",
        )
        for heading, unit, kind in (("Accuracy", "share correct", "accuracies"), ("Loss", "nats", "losses"))
    )
    alt = f"{title}: mean accuracy and loss of training and validation images over the epochs."
    return FigureSpec(name=name, title=title, alt=alt, panels=panels)


def _curves(lines: Sequence[tuple[str, Runs]], kind: str) -> list[Series]:
    series: list[Series] = []
    for place, (label, runs) in enumerate(lines):
        epochs: list[int] = next((outcome.result["epochs"] for outcome in runs if outcome.result), [])
        for part, style in (("validation", "line"), ("train", "dashed")):
            curves = [result[f"{part}_{kind}"] for result in runs.results]
            mean = tuple(max(fmean(values), 1e-6) for values in zip(*curves, strict=True))
            series.append(
                Series(label=f"{label}, {part}", kind=style, x=tuple(map(float, epochs)), y=mean, color=place)
            )
    return series


def kernel_figure(name: str, title: str, runs: Runs) -> list[FigureSpec]:
    """The first convolution's kernels before and after training, of the first seed that learnt something."""
    shown = [result for result in runs.results if result.get("kernels_before")]
    if not shown:
        return []
    result = next((result for result in shown if not result["collapsed"]), shown[0])
    panels = tuple(
        Heat(title=f"kernel {number + 1} {when}", values=tuple(map(tuple, kernel)), diverging=True)
        for when in ("before", "after")
        for number, kernel in enumerate(result[f"kernels_{when}"])
    )
    alt = f"{title}: the three kernels of the first convolution of seed {result['seed']}, before and after training."
    return [FigureSpec(name=name, title=title, alt=alt, panels=panels, columns=3)]


def confusion_panel(title: str, runs: Runs, names: Sequence[str]) -> Heat:
    """Validation images of all seeds by true class (rows) and called class (columns)."""
    matrices = [result["confusion"] for result in runs.results]
    total = tuple(
        tuple(float(sum(matrix[row][column] for matrix in matrices)) for column in range(len(names)))
        for row in range(len(names))
    )
    return Heat(title=title, values=total, row_names=tuple(names), column_names=tuple(names), numbers=True)
