"""Questions 4d to 4f: where the assumption of a CNN holds, where it does not, and which pooling."""

from itertools import chain
from statistics import fmean, stdev

from experiments.studies.findings import Comparison, FigureSpec, compare_claim
from experiments.studies.intervals import Interval, interval
from experiments.studies.plan import Scale
from experiments.studies.question import Answer, Need, Question, Runs, Setting
from homework.questions.bands_shared import (
    CHANCE,
    NONE,
    SLUG,
    accuracy,
    accuracy_figure,
    accuracy_table,
    band_recall,
    called_none,
    collapse_notes,
    confusion_panel,
    difference,
    differences,
    kernel_figure,
    need,
    orientation_gain,
    other_direction,
    recall,
)
from homework.shared import PATTERN_OF_TRAININGS

PATTERN = "a pattern that must hold over seeds"
CLASSES = ("horiz.", "vert.", "none")
KERNEL = 7
CROSSING = 50
"""Images of each class at which the sheet finds average pooling better, and max below."""


def _sizes(setting: Setting) -> tuple[int, ...]:
    sizes: tuple[int, ...] = setting.pick(smoke=(10,), cpu=(10, 30, 50), full=(10, 30, 50, 100))
    return sizes


def _needs_4d(setting: Setting) -> list[Need]:
    shifted = {"domain_shift": True, "epochs": setting.pick(smoke=30, cpu=300, full=300)}
    needs = [need(**shifted, model=model, images_per_class=n) for model in ("cnn", "mlp") for n in _sizes(setting)]
    kernels = setting.pick(smoke=(), cpu=(3, 5, 11), full=(3, 5, 11))
    # The smallest and the largest are compared, with the fewest images, where seeds differ most.
    trainings = {3: 4, 11: 4} if setting.scale is Scale.CPU else {}
    return [*needs, *(need(**shifted, kernel_size=k, trainings=trainings.get(k, 1)) for k in kernels)]


def _answer_4d(runs: Runs) -> Answer:
    cnn = runs.where(SLUG, model="cnn", kernel_size=KERNEL).by("images_per_class")
    mlp = runs.where(SLUG, model="mlp").by("images_per_class")
    if not cnn or not mlp:
        return Answer([])
    n = max(mlp.keys() & cnn.keys(), default=max(mlp))
    inside, bands = mlp[n].interval("train_accuracy"), mlp[n].interval(band_recall)
    swapped = mlp[n].interval(lambda result: other_direction(result) - band_recall(result))
    carried, none = difference(cnn[n], mlp[n]), cnn[n].interval(called_none)
    comparisons = [
        compare_claim(
            f"training accuracy of the MLP, {n} images of each class: can it tell the directions?",
            sheet="“cannot tell horizontal from vertical”",
            correct="near 1: inside its domain it can",
            correct_source=PATTERN,
            ours=inside,
            ours_is_right=inside is not None and inside.mean > 0.9,
            sheet_is_right=inside is not None and inside.mean < 0.5,
            because="it tells them apart inside its domain; it lacks weight sharing across positions",
            differs_because="it has not learnt its own domain yet",
        ),
        compare_claim(
            "share of the shifted bands that the MLP classifies correctly",
            sheet="“domains mismatch”",
            correct="below chance, 1/3",
            correct_source="pixels of the other half never saw a band",
            ours=bands,
            ours_is_right=_below(bands, CHANCE),
            because="worse than guessing, so it is systematic: a shifted band crosses the other direction's pixels",
        ),
        compare_claim(
            "MLP: bands called by the other direction less bands classified correctly",
            sheet=None,
            correct="above 0",
            correct_source="a vertical band in the right half crosses rows where horizontal bands lived",
            ours=swapped,
            ours_is_right=_sign_is(swapped, 1),
            because="it calls a shifted band by the other direction rather than its own",
        ),
        compare_claim(
            f"CNN less MLP on shifted bands, {n} images of each class",
            sheet=None,
            correct="above 0",
            correct_source="the convolution is equivariant, the global average nearly invariant",
            ours=carried,
            ours_is_right=_sign_is(carried, 1),
            because="shared kernels meet the band wherever it lies",
        ),
        _none_share(none),
        *_kernel_sizes(runs, "“kernel too large”"),
    ]
    panels = (
        confusion_panel(f"CNN, {n} a class", cnn[n], CLASSES),
        confusion_panel(f"MLP, {n} a class", mlp[n], CLASSES),
    )
    alt = "Confusion matrices of shifted images, all seeds together: rows are true classes, columns the answers."
    figures = [
        accuracy_figure("4d-accuracy", "Trained on one half, tested on the other", _lines(cnn=cnn, mlp=mlp), CHANCE),
        FigureSpec(name="4d-confusion", title="Shifted bands: true (rows), called (columns)", alt=alt, panels=panels),
    ]
    table = accuracy_table(runs, "model", "kernel_size", "images_per_class")
    return Answer(comparisons, table, figures, collapse_notes(runs))


def _none_share(none: Interval | None) -> Comparison:
    return compare_claim(
        "share of the CNN's wrong answers on bands that are “none”",
        sheet=None,
        correct="most",
        correct_source="the global average dilutes a thin band, and borders are reflections",
        ours="no band is misclassified" if none is None else none,
        ours_is_right=None if none is None or none.low < 0.5 < none.high else none.mean > 0.5,
        because="evidence is weak and additive after a global average",
        differs_because="here the CNN's mistakes are the other direction as often",
    )


def _kernel_sizes(runs: Runs, sheet: str) -> list[Comparison]:
    by_size = runs.where(SLUG, model="cnn", images_per_class=10).by("kernel_size")
    if len(by_size) < 2:
        return []
    small, large = min(by_size), max(by_size)
    ours = difference(by_size[small], by_size[large])
    return [
        compare_claim(
            f"kernels of {small} less kernels of {large}, 10 images of each class",
            sheet=sheet,
            correct="above 0: smaller kernels carry over better",
            correct_source="large kernels see mostly reflected border on 14 × 14 maps",
            ours=ours,
            ours_is_right=_sign_is(ours, 1),
            sheet_is_right=True,
            because="one valid cause of several",
        )
    ]


def _needs_4e(setting: Setting) -> list[Need]:
    epochs = setting.pick(smoke=30, cpu=300, full=300)
    sizes = _sizes(setting)
    permuted = [
        need(permute_pixels=True, model=model, images_per_class=n, epochs=epochs)
        for model in ("cnn", "mlp")
        for n in sizes
    ]
    plain = [need(model="mlp", images_per_class=n, epochs=epochs) for n in sizes]
    kernels = setting.pick(smoke=(), cpu=(3, 11), full=(3, 5, 11))
    return [*permuted, *plain, *(need(permute_pixels=True, kernel_size=k, epochs=epochs) for k in kernels)]


def _answer_4e(runs: Runs) -> Answer:
    permuted = runs.where(SLUG, permute_pixels=True)
    cnn = permuted.where(SLUG, model="cnn", kernel_size=KERNEL).by("images_per_class")
    mlp = permuted.where(SLUG, model="mlp").by("images_per_class")
    plain = runs.where(SLUG, model="mlp", permute_pixels=False).by("images_per_class")
    if not cnn or not mlp or not plain:
        return Answer([])
    few = min(cnn)
    comparisons = [_unmoved(n, difference(mlp[n], plain[n])) for n in sorted(mlp.keys() & plain.keys())]
    comparisons += _brightness(few, cnn[few])
    gain = cnn[max(cnn)].interval(orientation_gain)
    comparisons += [
        *_other_kernels(permuted, few),
        compare_claim(
            "stripes in the CNN's first kernels, share of variance, after less before",
            sheet="no pattern to see",
            correct="near 0: no orientation to learn",
            correct_source="a permuted band is no local pattern",
            ours=gain,
            ours_is_right=gain is not None and abs(gain.mean) < 0.15,
            sheet_is_right=True,
            because="the kernels stay like noise",
        ),
    ]
    lines = [("CNN, permuted", _all(cnn)), ("MLP, permuted", _all(mlp)), ("MLP, not permuted", _all(plain))]
    panels = (
        confusion_panel(f"CNN, {few} a class", cnn[few], CLASSES),
        confusion_panel(f"MLP, {few} a class", mlp[few], CLASSES),
    )
    alt = "Confusion matrices with permuted pixels, all seeds together: rows are true classes, columns the answers."
    figures = [
        accuracy_figure("4e-accuracy", "Pixels shuffled by one permutation", lines, 2 / 3),
        FigureSpec(name="4e-confusion", title="Permuted pixels: true (rows), called (columns)", alt=alt, panels=panels),
        *kernel_figure("4e-kernels", "Kernels trained on permuted pixels", cnn[max(cnn)]),
    ]
    table = accuracy_table(runs, "model", "permute_pixels", "kernel_size", "images_per_class")
    return Answer(comparisons, table, figures, collapse_notes(runs))


def _unmoved(n: int, ours: Interval | None) -> Comparison:
    return compare_claim(
        f"MLP on permuted less MLP on plain pixels, {n} images of each class",
        sheet="“does not take spatial information into account”",
        correct="0 over seeds",
        correct_source="symmetry: its first weights are independent and alike",
        ours=ours,
        ours_is_right=None if ours is None or ours.sd is None else ours.holds(0.0),
        sheet_is_right=True,
        because="a permutation of the inputs is a permutation of its first weights",
    )


def _brightness(few: int, cnn: Runs) -> list[Comparison]:
    overall, none, bands = accuracy(cnn), cnn.interval(recall(NONE)), cnn.interval(band_recall)
    return [
        compare_claim(
            f"validation accuracy of the CNN, {few} images of each class",
            sheet=None,
            correct="near 2/3",
            correct_source="none is correct, the direction is guessed",
            ours=overall,
            ours_is_right=overall is not None and overall.holds(2 / 3, tolerance=0.05),
            because="brightness after the global average separates a band from none, but hardly its directions",
        ),
        compare_claim(
            "CNN: recall of none, and of the directions",
            sheet=None,
            correct="near 1, and near 1/2",
            correct_source="a coin for the direction",
            ours=f"{none.mean:.2f} and {bands.mean:.2f}" if none and bands else None,
            ours_is_right=bool(none and bands and none.mean > 0.75 and abs(bands.mean - 0.5) < 0.15),
            because="none is correct, the direction is guessed",
        ),
    ]


def _other_kernels(permuted: Runs, few: int) -> list[Comparison]:
    by_size = permuted.where(SLUG, model="cnn", images_per_class=few).by("kernel_size")
    if len(by_size) < 2:
        return []
    ours = difference(by_size[max(by_size)], by_size[min(by_size)])
    return [
        compare_claim(
            f"kernels of {max(by_size)} less kernels of {min(by_size)}, {few} images of each class",
            sheet="“may not change”",
            correct="0: no reliable gain either way",
            correct_source="a shared kernel cannot encode absolute position",
            ours=ours,
            ours_is_right=None if ours is None or ours.sd is None else ours.holds(0.0, tolerance=0.02),
            sheet_is_right=True,
            because="the kernel's size does not matter where nothing is local",
        )
    ]


def _needs_4f(setting: Setting) -> list[Need]:
    sizes = setting.pick(smoke=(10,), cpu=(10, 20, 30, 40, 50), full=(10, 20, 30, 40, 50, 100))
    shared = {"classes": 5, "epochs": setting.pick(smoke=15, cpu=200, full=200)}
    pooled = [need(**shared, pooling=pooling, images_per_class=n) for pooling in ("max", "average") for n in sizes]
    return [*pooled, *(need(**shared, model="mlp", images_per_class=n) for n in sizes)]


def _answer_4f(runs: Runs) -> Answer:
    largest = runs.where(SLUG, model="cnn", pooling="max").by("images_per_class")
    average = runs.where(SLUG, model="cnn", pooling="average").by("images_per_class")
    mlp = runs.where(SLUG, model="mlp").by("images_per_class")
    sizes = sorted(largest.keys() & average.keys())
    if not sizes:
        return Answer([])
    comparisons = [_ranking(n, largest[n], average[n]) for n in sizes]
    comparisons.append(_spread(largest, average))
    pooled = {"CNN, max": largest, "CNN, average": average, "MLP": mlp}
    n = sizes[-1]
    names = ("horiz.", "vert.", "none", "diag.", "both")
    panels = tuple(
        confusion_panel(f"{name}, {n} a class", found[n], names) for name, found in pooled.items() if n in found
    )
    alt = "Confusion matrices of five classes, all seeds together: rows are true classes, columns the answers."
    figures = [
        accuracy_figure(
            "4f-accuracy", "Five classes, two kinds of pooling", [(name, _all(found)) for name, found in pooled.items()]
        ),
        FigureSpec(
            name="4f-confusion", title="Five classes: true (rows), called (columns)", alt=alt, panels=panels, columns=3
        ),
        *kernel_figure("4f-kernels-max", "Kernels with max pooling", largest[n]),
        *kernel_figure("4f-kernels-average", "Kernels with average pooling", average[n]),
    ]
    table = accuracy_table(runs, "model", "pooling", "images_per_class")
    return Answer(comparisons, table, figures, collapse_notes(runs))


def _ranking(n: int, largest: Runs, average: Runs) -> Comparison:
    """The sheet ranks the two by one seed each. Where both orders occur among the seeds, that shows nothing."""
    pairs = differences(largest, average)
    ours = interval(pairs) if pairs else None
    claimed = -1 if n >= CROSSING else 1
    sign = ours.sign if ours is not None else 0
    wins, losses = (sum(pair * side > 0 for pair in pairs) for side in (1, -1))
    by_chance = sign == 0 and wins > 0 and losses > 0
    said = None if n > CROSSING else ("average better" if claimed < 0 else "max better")
    return compare_claim(
        f"max less average pooling, {n} images of each class",
        sheet=said,
        correct="a ranking where the interval over seeds has one sign, else none",
        correct_source="differences of single seeds are mostly chance of the first weights",
        ours=ours,
        ours_is_right=True if sign or by_chance else None,
        sheet_is_right=None if said is None else sign == claimed,
        because={
            1: "over seeds max is better",
            -1: "over seeds average is better",
            0: f"max is better for {wins} of {len(pairs)} seeds, average for {losses}: a single seed cannot rank them",
        }[sign],
        undecided_because="no seed says the opposite, and the interval still contains 0: more seeds would decide it",
    )


def _spread(largest: dict[int, Runs], average: dict[int, Runs]) -> Comparison:
    """How much one seed's difference says: its deviation over seeds and the mean difference, all sizes together."""
    pairs = [differences(largest[n], average[n]) for n in sorted(largest.keys() & average.keys())]
    spreads = [stdev(some) for some in pairs if len(some) > 1]
    means = [abs(fmean(some)) for some in pairs if some]
    ours = fmean(spreads) if spreads else None
    mean = fmean(means) if means else 0.0
    return compare_claim(
        "deviation over seeds of max less average pooling, mean over all numbers of images",
        sheet=None,
        correct="above the mean difference: a single seed does not show which is better",
        correct_source="614 parameters from random first weights",
        ours=ours,
        ours_is_right=None if ours is None else ours > mean,
        because=f"the differences themselves are {mean:.2f} on average",
        differs_because=f"the differences, {mean:.2f} on average, stand out of it",
        not_measured_because="a deviation needs two seeds",
    )


def _below(ours: Interval | None, limit: float) -> bool | None:
    if ours is None or ours.sd is None or ours.low < limit < ours.high:
        return None
    return ours.mean < limit


def _sign_is(ours: Interval | None, wanted: int) -> bool | None:
    if ours is None or ours.sign == 0:
        return None
    return ours.sign == wanted


def _all(found: dict[int, Runs]) -> Runs:
    return Runs(list(chain.from_iterable(found.values())))


def _lines(*, cnn: dict[int, Runs], mlp: dict[int, Runs]) -> list[tuple[str, Runs]]:
    return [("CNN", _all(cnn)), ("MLP", _all(mlp))]


PRIOR_QUESTIONS = (
    Question(
        "4d",
        "Domain shift",
        "Train on bands in one half of the image, test on the other half. Who carries over, and what is confused?",
        _needs_4d,
        _answer_4d,
        PATTERN_OF_TRAININGS,
    ),
    Question(
        "4e",
        "Permuted pixels",
        "Shuffle the pixels of all images by one permutation. What becomes of the CNN, the MLP, and the kernels?",
        _needs_4e,
        _answer_4e,
        PATTERN_OF_TRAININGS,
    ),
    Question(
        "4f",
        "Five classes, max against average pooling",
        "Add diagonal bands and crossing bands, and compare max pooling with average pooling between the convolutions.",
        _needs_4f,
        _answer_4f,
        PATTERN_OF_TRAININGS,
    ),
)
