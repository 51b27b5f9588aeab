"""Question 1i: images that carry their label, with and without dropout."""

from typing import Any

from experiments.studies.findings import (
    Comparison,
    FigureSpec,
    Plot,
    Series,
    Table,
    compare_claim,
)
from experiments.studies.intervals import Interval, interval
from experiments.studies.question import Answer, Need, Question, Runs, Setting
from homework.shared import CIFAR10, PATTERN_OF_TRAININGS, images_of

SLUG = "dropout-cheating"
RATES = (0.0, 0.75)
SHEET = {0.0: (1.00, 0.10), 0.75: (0.93, 0.21)}
"""Accuracy with the code and without it, by dropout rate."""
NEAR_CHANCE = 0.2
CLASSES = 10
EASY = "on the digits the image is as easy to read as the code, so nothing forces a choice; CIFAR-10 shows it"


def _needs(setting: Setting) -> list[Need]:
    data = {"dataset": images_of(setting)}
    # An eighth of the images at eight times the rate take the same path in an eighth of the time.
    eighth = {"images": 6250, "test_images": 1000, "learning_rate": 0.024}
    sizes = setting.pick(
        smoke={"images": 512, "test_images": 500, "epochs": 2},
        cpu=eighth if images_of(setting) == CIFAR10 else {},
        full={},
    )
    return [
        Need(SLUG, {**data, **sizes, "dropout": rate, "relu_on_logits": relu})
        for rate in RATES
        for relu in (True, False)
    ]


def _answer(runs: Runs) -> Answer:
    digits = any(outcome.spec["dataset"] == "digits" for outcome in runs)
    comparisons: list[Comparison] = []
    by_relu = {
        relu: {rate: runs.where(SLUG, dropout=rate, relu_on_logits=relu) for rate in RATES} for relu in (True, False)
    }
    for relu, by_rate in by_relu.items():
        comparisons += [*_levels(by_rate[0.0], relu=relu, digits=digits), *_order(by_rate, relu=relu, digits=digits)]
    notes = [_equal_cheating(by_relu[False])]
    if digits:
        notes.append(
            "The scikit-learn digits replaced CIFAR-10. They are too easy: nothing forces the choice in question."
        )
    return Answer([*comparisons, _dead(runs)], _table(runs), _figures(runs), [note for note in notes if note])


def _levels(undropped: Runs, *, relu: bool, digits: bool) -> list[Comparison]:
    cheat, clean = undropped.interval("cheat_accuracy"), undropped.interval("clean_accuracy")
    dead = sum(bool(result["dead_classes"]) for result in undropped.results)
    alive = undropped.values(lambda result: None if result["dead_classes"] else result["cheat_accuracy"])
    return [
        compare_claim(
            f"accuracy with the code, no dropout{_named(relu)}",
            sheet="1.00" if relu else None,
            correct="near 1 unless a class is dead",
            correct_source="the code is exact and linear",
            ours=cheat,
            ours_is_right=bool(alive) and min(alive) > 0.9,
            sheet_is_right=True,
            because=f"the net reads the code; {dead} of {len(undropped.results)} seeds ended with dead classes",
            differs_because="the training was too short, or every seed has a dead class",
            **_size(digits),
        ),
        compare_claim(
            f"accuracy without the code, no dropout{_named(relu)}",
            sheet="0.10" if relu else None,
            correct="near chance, 0.1",
            correct_source="the net uses the code alone",
            ours=clean,
            ours_is_right=clean is not None and clean.mean < NEAR_CHANCE,
            sheet_is_right=True,
            because="without the code the net is lost",
            differs_because="too few steps to give the images up for the code",
            **_size(digits),
        ),
    ]


def _size(digits: bool) -> dict[str, Any]:
    """What runs must have to show what dropout does: several trainings, and images that are hard to read."""
    return {"least": PATTERN_OF_TRAININGS, "too_small_because": EASY if digits else None}


def _order(by_rate: dict[float, Runs], *, relu: bool, digits: bool) -> list[Comparison]:
    claims = (
        ("clean_accuracy", "without", 1, "dropout makes the code an unreliable route, and slows training as well"),
        ("cheat_accuracy", "with", -1, "the units that carry the code fail three times in four, twice over"),
    )
    comparisons: list[Comparison] = []
    for name, words, wanted, because in claims:
        ours = _gain(by_rate, name)
        dead = sum(bool(result["dead_classes"]) for rate in RATES for result in by_rate[rate].results)
        apart = f"; images of dead classes, which {dead} runs had, do not count" if dead and wanted < 0 else ""
        sheet = SHEET[0.75][name == "clean_accuracy"] - SHEET[0.0][name == "clean_accuracy"]
        comparisons.append(
            compare_claim(
                f"accuracy {words} the code: dropout 0.75 less none{_named(relu)}",
                sheet=f"{sheet:+.2f}" if relu else None,
                correct="above 0" if wanted > 0 else "below 0",
                correct_source="the order of the sheet's four numbers",
                ours=ours,
                ours_is_right=None if ours is None or ours.sign == 0 else ours.sign == wanted,
                sheet_is_right=True,
                because=f"{because}{apart}",
                differs_because=f"the order is the opposite here{apart}",
                undecided_because=f"the seeds do not agree on an order{apart}",
                **_size(digits),
            )
        )
    return comparisons


def _named(relu: bool) -> str:
    return "" if relu else " (no ReLU on the logits)"


def _gain(by_rate: dict[float, Runs], name: str) -> Interval | None:
    plain, dropped = (_of_the_living(by_rate[rate], name) for rate in RATES)
    pairs = [dropped[seed] - plain[seed] for seed in sorted(plain.keys() & dropped.keys())]
    return interval(pairs) if pairs else None


def _of_the_living(runs: Runs, name: str) -> dict[int, float]:
    """The accuracy by seed; with the code, of images whose class is not dead: there are as many of each class."""
    found: dict[int, float] = {}
    for outcome in runs:
        if outcome.result is None or len(outcome.result["dead_classes"]) == CLASSES:
            continue
        living = 1 - len(outcome.result["dead_classes"]) / CLASSES
        found[outcome.seed] = float(outcome.result[name]) / (living if name == "cheat_accuracy" else 1)
    return found


def _dead(runs: Runs) -> Comparison:
    with_relu, without = (runs.where(SLUG, relu_on_logits=relu) for relu in (True, False))
    ended = sum(bool(result["dead_classes"]) for result in with_relu.results)
    passing = sum(any(row["dead_classes"] for row in result["epochs"]) for result in with_relu.results)
    clean = not any(row["dead_classes"] for result in without.results for row in result["epochs"])
    return compare_claim(
        "dead classes: runs that have one at some epoch, and at the end",
        sheet=None,
        correct="only with the ReLU on the logits",
        correct_source="a logit that is 0 for every image gets no gradient",
        ours=f"{passing} and {ended} of {len(with_relu.results)} with the ReLU; none without"
        if runs and clean
        else ("some without" if runs else None),
        ours_is_right=clean,
        because="the ReLU on the logits can switch a class off; without it none can",
    )


def _equal_cheating(by_rate: dict[float, Runs]) -> str:
    """How much of the gap is left where both nets know the code equally well."""
    plain, dropped = (by_rate[rate].interval("clean_accuracy_at_target") for rate in RATES)
    if plain is None or dropped is None:
        return ""
    return (
        f"At the first epoch with 85 % accuracy with the code, accuracy without it is {plain.mean:.2f} undropped and "
        f"{dropped.mean:.2f} with it: that much of the gap is dropout's own, the rest is slower training."
    )


def _table(runs: Runs) -> Table:
    rows = [
        (
            f"{rate:g}",
            "yes" if relu else "no",
            some.interval("cheat_accuracy"),
            some.interval("clean_accuracy"),
            some.interval("clean_accuracy_at_target"),
            sum(bool(result["dead_classes"]) for result in some.results),
            len(some.results),
        )
        for rate in RATES
        for relu in (True, False)
        if (some := runs.where(SLUG, dropout=rate, relu_on_logits=relu))
    ]
    return Table(
        caption="Accuracy after the last epoch; at equal knowledge: at the first epoch with 85 % with the code",
        columns=(
            "dropout",
            "ReLU on logits",
            "with the code",
            "without",
            "without, at equal knowledge",
            "dead at the end",
            "seeds",
        ),
        rows=tuple(rows),
    )


def _figures(runs: Runs) -> list[FigureSpec]:
    if not runs:
        return []
    groups = [
        (f"dropout {rate:g}, {'ReLU' if relu else 'no ReLU'}", runs.where(SLUG, dropout=rate, relu_on_logits=relu))
        for rate in RATES
        for relu in (True, False)
    ]
    known = [(name, some) for name, some in groups if some]
    places = tuple(map(float, range(len(known))))
    bars = Plot(
        title="After the last epoch",
        x_label="",
        y_label="accuracy",
        x_names=tuple(name for name, _ in known),
        y_range=(0.0, 1.05),
        series=tuple(
            _bars(label, places, [some.interval(field) for _, some in known])
            for label, field in (("with the code", "cheat_accuracy"), ("without", "clean_accuracy"))
        ),
        level=0.1,
        level_label="chance",
    )
    curves = Plot(
        title="On the way, first seed, ReLU on logits",
        x_label="epoch",
        y_label="accuracy",
        y_range=(0.0, 1.05),
        series=tuple(
            Series(
                label=f"dropout {rate:g}, {words}",
                kind=kind,
                x=tuple(float(row["epoch"]) for row in result["epochs"]),
                y=tuple(row[field] for row in result["epochs"]),
                color=color,
            )
            for color, rate in enumerate(RATES)
            if (result := runs.where(SLUG, dropout=rate, relu_on_logits=True).first)
            for words, field, kind in (
                ("with the code", "cheat_accuracy", "line"),
                ("without", "clean_accuracy", "dashed"),
            )
        ),
    )
    alt = "Accuracy with and without the code by dropout rate and ReLU, over the seeds, and its course over the epochs."
    return [FigureSpec(name="1i-accuracy", title="Images that carry their label", alt=alt, panels=(bars, curves))]


def _bars(label: str, places: tuple[float, ...], values: list[Interval | None]) -> Series:
    def ends(read: Any) -> tuple[float | None, ...]:
        return tuple(None if value is None else read(value) for value in values)

    return Series(
        label=label,
        kind="bars",
        x=places,
        y=ends(lambda value: value.mean),
        low=ends(lambda value: max(value.low, 0.0)),
        high=ends(lambda value: min(value.high, 1.0)),
    )


CHEATING_QUESTIONS = (
    Question(
        "1i",
        "A cheating feature",
        "Images carry their label as four coloured pixels. Train with and without dropout, test with and without.",
        _needs,
        _answer,
    ),
)
