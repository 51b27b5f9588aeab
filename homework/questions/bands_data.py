"""Questions 4a to 4c: how many images, how many epochs, and which prior."""

from statistics import median

from experiments.studies.findings import Comparison, compare_claim
from experiments.studies.intervals import Interval
from experiments.studies.question import Answer, Need, Question, Runs, Setting
from homework.questions.bands_shared import (
    SLUG,
    Result,
    accuracy,
    accuracy_figure,
    accuracy_table,
    collapse_notes,
    curve_figure,
    difference,
    kernel_figure,
    need,
    orientation_gain,
)
from homework.shared import PATTERN_OF_TRAININGS

PATTERN = "a pattern that must hold over seeds"
LITTLE = 0.05
MODELS = ("cnn", "edge_frozen", "mlp")
SAME = 0.05
"""Accuracies this near count as the same within the interval of the seeds."""


def _needs_4a(setting: Setting) -> list[Need]:
    batch = {"images_per_class": 10, "batch_size": 30}
    short, long = setting.pick(smoke=(30, 60), cpu=(500, 1500), full=(500, 1500))
    # Few seeds know their images after so few steps, so that it takes many to meet one.
    trainings = setting.pick(smoke=1, cpu=4, full=2)
    return [
        need(**batch, epochs=short, trainings=trainings),
        need(**batch, epochs=long),
        need(**batch, epochs=short, model="mlp"),
    ]


def _answer_4a(runs: Runs) -> Answer:
    cnn = list(runs.where(SLUG, model="cnn").by("epochs").items())
    mlp = list(runs.where(SLUG, model="mlp").by("epochs").items())
    last = cnn[-1][1] if cnn else Runs([])
    comparisons = [_overfits("MLP", epochs, some) for epochs, some in mlp]
    comparisons += [_first_to_know(epochs, some) for epochs, some in cnn[:-1]]
    comparisons += [_overfits("CNN", epochs, some) for epochs, some in cnn[-1:]]
    gain = last.without_collapsed.interval(orientation_gain)
    comparisons.append(
        compare_claim(
            "stripes in the CNN's first kernels, share of variance, after less before",
            sheet=None,
            correct="above 0: some kernels become derivatives across the band, others stay random",
            correct_source=PATTERN,
            ours=gain,
            ours_is_right=_positive(gain),
            because="row and column means explain more of the kernels after training",
            differs_because="the kernels did not become more striped",
        )
    )
    lines = [(f"CNN, {epochs} epochs", some) for epochs, some in cnn[-1:]] + [("MLP", some) for _, some in mlp]
    figures = [
        curve_figure("4a-curves", "Overfitting 30 images", lines),
        *kernel_figure("4a-kernels", "Kernels of the CNN", last),
    ]
    return Answer(comparisons, accuracy_table(runs, "model", "epochs"), figures if runs else [], collapse_notes(runs))


def _overfits(name: str, epochs: int, runs: Runs) -> Comparison:
    """Every training that does not collapse knows all its images; those that do are counted."""
    learnt = runs.without_collapsed.values("train_accuracy")
    collapsed = len(runs.results) - len(learnt)
    reached = sum(value >= 1.0 for value in learnt)
    beside = f"; {collapsed} collapsed and can never learn again" if collapsed else ""
    return compare_claim(
        f"training accuracy of the {name}, {epochs} epochs",
        sheet=None,
        correct="1 for every seed that does not collapse",
        correct_source="the question's aim, which a published run of one seed reached",
        ours=runs.interval("train_accuracy"),
        ours_is_right=bool(learnt) and reached == len(learnt),
        because=f"{reached} of {len(runs.results)} seeds know all 30 images by heart{beside}",
        differs_because=f"{reached} of the {len(learnt)} seeds that did not collapse know all 30 images{beside}",
    )


def _first_to_know(epochs: int, runs: Runs) -> Comparison:
    """The published run is one seed: it shows that these epochs can do, and not that they always do."""
    values = runs.values("train_accuracy")
    reached = sum(value >= 1.0 for value in values)
    return compare_claim(
        f"best training accuracy of the CNN over the seeds, {epochs} epochs",
        sheet=None,
        correct="1 for some seed",
        correct_source="a published run of one seed reached 1 in 500",
        ours=max(values, default=None),
        ours_is_right=reached > 0,
        because=f"{reached} of {len(values)} seeds reach 1; for the others {epochs} steps are too few",
        differs_because=f"none of {len(values)} seeds reaches 1 in {epochs} steps",
    )


def _positive(ours: Interval | None) -> bool | None:
    """True where an interval lies above 0, False where below, None where the data cannot decide."""
    if ours is None or ours.sign == 0:
        return None
    return ours.sign > 0


def _not_below(ours: Interval | None) -> bool | None:
    """True where an interval lies above 0 or at most `SAME` below, False where below, None where it is too wide."""
    if ours is None or ours.sd is None:
        return None
    return True if ours.low >= -SAME else (False if ours.sign < 0 else None)


def _needs_4b(setting: Setting) -> list[Need]:
    sizes = setting.pick(smoke=(10, 30), cpu=(10, 30, 50, 100), full=(10, 20, 30, 40, 50, 100))
    epochs, more = setting.pick(smoke=(10, 20), cpu=(30, 150), full=(30, 150))
    needs = [need(model=model, images_per_class=n, epochs=epochs) for model in MODELS for n in sizes]
    # Both are near 1 by then: 150 validation images would leave as much chance as there is difference.
    long = {"images_per_class": max(sizes), "epochs": more, "validation_images_per_class": 500, "curve_points": 5}
    return [*needs, *(need(model=model, **long) for model in MODELS[:2])]


def _answer_4b(runs: Runs) -> Answer:
    by_epochs = runs.by("epochs")
    short = by_epochs[min(by_epochs)] if by_epochs else runs
    cnn, frozen, mlp = (short.where(SLUG, model=model).by("images_per_class") for model in MODELS)
    if not cnn or not frozen:
        return Answer([])
    few, many = min(cnn), max(cnn)
    head_start = difference(frozen[few], cnn[few])
    overfit = cnn[few].interval(lambda result: result["train_accuracy"] - result["validation_accuracy"])
    gain, frozen_gain = difference(cnn[many], cnn[few]), difference(frozen[many], frozen[few])
    comparisons = [
        compare_claim(
            f"fixed edge detectors less trained CNN, {few} images of each class",
            sheet=None,
            correct="above 0",
            correct_source=PATTERN,
            ours=head_start,
            ours_is_right=_positive(head_start),
            because="the right prior needs no data: little variance",
        ),
        compare_claim(
            f"training less validation accuracy of the CNN, {few} images of each class",
            sheet=None,
            correct="near 0: under-trained, not over-fitted",
            correct_source="few images are few steps at a fixed number of epochs",
            ours=overfit,
            ours_is_right=overfit is not None and overfit.mean < 0.15,
            because="it has not learnt its training images either",
            differs_because="it has learnt more of its training images than of the others",
        ),
        compare_claim(
            f"gain of the fixed detectors from {few} to {many} images",
            sheet="may not extract the ideal edge",
            correct="near 0: they cannot improve",
            correct_source="frozen features are a fixed hypothesis class: high bias, low variance",
            ours=frozen_gain,
            ours_is_right=frozen_gain is not None and abs(frozen_gain.mean) < LITTLE,
            because="the sheet points the right way; the reason is the fixed hypothesis class, one sign of each edge",
        ),
        compare_claim(
            f"gain of the trained CNN from {few} to {many} images",
            sheet=None,
            correct="above 0",
            correct_source=PATTERN,
            ours=gain,
            ours_is_right=_positive(gain),
            because="more images are more steps and less variance",
        ),
        _passed(by_epochs),
    ]
    lines = [
        (label, Runs([run for some in found.values() for run in some]))
        for label, found in (("CNN", cnn), ("fixed edge detectors", frozen), ("MLP", mlp))
    ]
    figure = accuracy_figure("4b-accuracy", "Which prior, how many images", lines)
    table = accuracy_table(runs, "model", "epochs", "images_per_class")
    return Answer(comparisons, table, [figure], collapse_notes(runs))


def _passed(by_epochs: dict[int, Runs]) -> Comparison:
    """The trained CNN against the detectors with the most images and the most epochs."""
    epochs = max(by_epochs)
    cnn, frozen = (by_epochs[epochs].where(SLUG, model=model).by("images_per_class") for model in MODELS[:2])
    n = max(cnn.keys() & frozen.keys(), default=0)
    learnt = cnn[n].without_collapsed if n else Runs([])
    # Before the long runs are there, the short ones stand for nothing.
    ours = difference(learnt, frozen[n]) if n and len(by_epochs) > 1 else None
    return compare_claim(
        f"trained CNN less fixed detectors, {n} images of each class, {epochs} epochs",
        sheet="“data sufficient to fine-tune”",
        correct="above 0 once images and steps suffice",
        correct_source="lower bias",
        ours=ours,
        ours_is_right=_positive(ours),
        sheet_is_right=True,
        because="the trained CNN has passed the detectors",
        differs_because="not yet: the CNN is under-trained still",
        undecided_because="some seeds pass the detectors and some are under-trained still",
    )


def _needs_4c(setting: Setting) -> list[Need]:
    cnn = setting.pick(smoke=(10,), cpu=(10, 20, 30), full=(10, 20, 30, 80, 100))
    mlp = setting.pick(smoke=(10, 20), cpu=(10, 20, 30, 80), full=(10, 20, 30, 80, 100))
    epochs = setting.pick(smoke=20, cpu=400, full=400)
    needs = [need(images_per_class=n, epochs=epochs) for n in cnn]
    return [*needs, *(need(model="mlp", images_per_class=n, epochs=epochs) for n in mlp)]


def _answer_4c(runs: Runs) -> Answer:
    cnn, mlp = (runs.where(SLUG, model=model).by("images_per_class") for model in ("cnn", "mlp"))
    if not cnn or not mlp:
        return Answer([])
    comparisons: list[Comparison] = []
    if 20 in cnn:
        comparisons.append(_target(cnn[20]))
    comparisons += [
        _beside_sheet(f"validation accuracy of the {name}, {n} images of each class", found.get(n), sheet)
        for name, found, n, sheet in (("CNN", cnn, 10, 0.92), ("MLP", mlp, 80, 0.88))
        if n in found
    ]
    few, many = min(mlp), max(mlp)
    coverage, frugal = difference(mlp[many], mlp[few]), difference(cnn[min(cnn)], mlp[many])
    climb = mlp[few].interval(_loss_climb)
    drop = mlp[few].interval(lambda result: _accuracy_at_least_loss(result) - result["validation_accuracy"])
    comparisons += [
        compare_claim(
            f"gain of the MLP from {few} to {many} images of each class",
            sheet="“does not generalise”",
            correct="above 0: accuracy follows the coverage of positions",
            correct_source=PATTERN,
            ours=coverage,
            ours_is_right=_positive(coverage),
            sheet_is_right=None if coverage is None else coverage.sign <= 0,
            because="it generalises to brightness and to neighbouring positions, so “does not” is too strong",
        ),
        compare_claim(
            f"CNN at {min(cnn)} less MLP at {many} images of each class",
            sheet="92 % at 10 against 88 % at 80",
            correct="not below 0, to within 0.05",
            correct_source=PATTERN,
            ours=frugal,
            ours_is_right=_not_below(frugal),
            sheet_is_right=_not_below(frugal),
            because=f"shared weights save {many / min(cnn):.0f} times the images",
        ),
        compare_claim(
            f"rise of the MLP's validation loss past its lowest, nats ({few} images)",
            sheet="explained in essence",
            correct="above 0, with accuracy held",
            correct_source="cross-entropy is unbounded: confidence in few wrong answers costs without limit",
            ours=climb,
            ours_is_right=None if climb is None or drop is None else climb.mean > 0 and drop.mean < LITTLE,
            sheet_is_right=True,
            because=f"accuracy moves by {-drop.mean:+.2f} meanwhile: miscalibration, no loss of skill" if drop else "",
            differs_because="the loss does not rise, or accuracy falls with it",
        ),
    ]
    lines = [("CNN", _all(cnn)), ("MLP", _all(mlp))]
    shown = 20 if 20 in cnn and 20 in mlp else min(cnn)
    curves = curve_figure(
        "4c-curves", f"Training on {shown} images of each class", [("CNN", cnn[shown]), ("MLP", mlp[shown])]
    )
    figures = [
        accuracy_figure("4c-accuracy", "Trained to the end", lines),
        curves,
        *kernel_figure("4c-kernels", "Kernels after long training", cnn[max(cnn)]),
    ]
    table = accuracy_table(runs, "model", "images_per_class", "epochs")
    return Answer(comparisons, table, figures, collapse_notes(runs))


def _all(found: dict[int, Runs]) -> Runs:
    return Runs([run for some in found.values() for run in some])


def _target(runs: Runs) -> Comparison:
    values = runs.values("validation_accuracy")
    epochs = runs.outcomes[0].spec["epochs"]
    reached = sum(value >= 0.9 for value in values)
    return compare_claim(
        f"median validation accuracy of the CNN, 20 images of each class, {epochs} epochs",
        sheet="90 % reached at 400 epochs",
        correct="at least 0.9",
        correct_source="the question's aim",
        ours=median(values),
        ours_is_right=median(values) >= 0.9,
        sheet_is_right=median(values) >= 0.9,
        because=f"{reached} of {len(values)} seeds reach it; epochs were what it lacked",
        differs_because=f"{reached} of {len(values)} seeds reach it",
    )


def _beside_sheet(quantity: str, runs: Runs | None, sheet: float) -> Comparison:
    ours = accuracy(runs) if runs else None
    return compare_claim(
        quantity,
        sheet=f"{sheet:.2f}, one seed",
        correct="no fixed value: it depends on the seed",
        correct_source="the sheet's own run",
        ours=ours,
        ours_is_right=None if ours is None or ours.sd is None else ours.holds(sheet, tolerance=SAME),
        because="the sheet's number is one that our seeds could have given",
        differs_because="our seeds do not give the sheet's number",
    )


def _loss_climb(result: Result) -> float:
    return float(result["validation_losses"][-1] - min(result["validation_losses"]))


def _accuracy_at_least_loss(result: Result) -> float:
    losses = result["validation_losses"]
    return float(result["validation_accuracies"][losses.index(min(losses))])


DATA_QUESTIONS = (
    Question(
        "4a",
        "Overfit a small set",
        "Train a small CNN and an MLP on ten images of each class until both know them by heart; look at the kernels.",
        _needs_4a,
        _answer_4a,
        PATTERN_OF_TRAININGS,
    ),
    Question(
        "4b",
        "Training images, and kernels that are edge detectors",
        "Vary the number of training images; compare trained kernels with fixed edge detectors, and explain.",
        _needs_4b,
        _answer_4b,
        PATTERN_OF_TRAININGS,
    ),
    Question(
        "4c",
        "Training procedure",
        "Train longer. When does the CNN reach 90 %, what does the loss do, and how many images does the MLP need?",
        _needs_4c,
        _answer_4c,
        PATTERN_OF_TRAININGS,
    ),
)
