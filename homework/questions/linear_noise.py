"""Questions 1d to 1f: SGD with dropped inputs, and what dropout does to the weights."""

from collections.abc import Sequence

from experiments.studies.findings import Comparison, FigureSpec, Plot, Series, Table, compare_claim, compare_number
from experiments.studies.intervals import Interval, interval
from experiments.studies.question import Answer, Need, Question, Runs, Setting
from homework.questions.linear_shared import EXACT, EXACT_HALF, ITERATED, SLUG, is_the_mean, loss_figure
from homework.questions.linear_theory import mean_after, slow_time_constant, solution, train_loss, weight

BOTH_DROPPED_LOSS = 121.0


def _answer_1d(runs: Runs) -> Answer:
    found = runs.where(SLUG, dropout=0.5, batch_size=1, **ITERATED)
    comparisons = _means_after(
        found,
        sheet=None,
        because="a mask is independent of the weights it meets, so the mean of "
        "the weights follows gradient descent on the expected loss",
    )
    late = found.interval("late_loss_mean")
    floor = train_loss(0.5)
    comparisons += [
        compare_claim(
            "mean loss of the last 500 steps: does it settle?",
            sheet="fluctuates, does not converge",
            correct=f"stays above {floor:.2f}: a stationary process about the least-squares weights",
            correct_source="constant step size; the least expected loss is 121/3",
            ours=late,
            ours_is_right=None if late is None else late.mean > floor,
            sheet_is_right=bool(found) and min(found.values("late_loss_sd")) > 1,
            because="with a constant step the weights never rest: the sheet is right in kind",
        ),
        compare_number(
            "share of steps with both inputs dropped (loss exactly 121)",
            correct=0.25,
            correct_source="p² with p = 0.5",
            ours=found.interval(_share_both_dropped),
            tolerance=0.01,
            because="the prediction is then 0 whatever the weights: the spikes are not a failure of training",
        ),
    ]
    table = _scatter_table(found)
    return Answer(comparisons, table, loss_figure("1d", "Loss with one mask a step", found, log=False))


def _share_both_dropped(result: dict[str, object]) -> float | None:
    curve = result["curve"]
    assert isinstance(curve, dict)
    late = [loss for step, loss in zip(curve["steps"], curve["loss"], strict=True) if step >= 10]
    return sum(abs(loss - BOTH_DROPPED_LOSS) < 1e-9 for loss in late) / len(late) if late else None


def _answer_1e(runs: Runs) -> Answer:
    found = runs.where(SLUG, dropout=0.5, iterations=1000, **ITERATED)
    longer = runs.where(SLUG, dropout=0.5, iterations=10_000, **ITERATED)
    slow = found.first["time_constants_steps"][-1] if found.first else None
    comparisons = _means_after(
        found, sheet="no weights given", because="the sheet leaves it open: " + _why_short(found)
    )
    comparisons += _means_after(longer, sheet=None, because="ten times as many steps close the gap")
    comparisons.append(
        compare_number(
            "time constant of the slow direction, steps",
            correct=slow_time_constant(0.5),
            correct_source="1/(0.001 · 2.992); the Hessian is [[400, 20], [20, 4]]",
            ours=slow,
            tolerance=1e-6,
            because="1000 steps are three time constants, so 5 % of the way is still missing",
        )
    )
    figures = [
        *loss_figure("1e", "Loss with 1024 masks a step", found, log=False),
        _trajectory(found, longer),
    ]
    return Answer(comparisons, _scatter_table(found, longer), figures)


def _why_short(found: Runs) -> str:
    """Whether the gap to least squares is noise or slowness, from the runs."""
    w2 = found.interval(weight(1))
    sd = found.first and found.first["expected_weights_sd"]
    if w2 is None or not sd:
        return "there are no runs that show why"
    gap = solution(0.5)[1] - w2.mean
    if gap > 5 * sd[1]:
        slow = f"{gap / sd[1]:.0f} times its noise of {sd[1]:.4f}: the slow eigenvalue 2.99, not chance"
        return f"w2 is {gap:.2f} short of 11/3, {slow}"
    return f"the gap of {gap:.3f} in w2 is within reach of its noise of {sd[1]:.3f}"


def _answer_1f(runs: Runs) -> Answer:
    plain = runs.where(SLUG, method="closed_form", dropout=0.0).first
    dropped = runs.where(SLUG, method="closed_form", dropout=0.5).first
    trained = runs.where(SLUG, dropout=0.5, iterations=1000, **ITERATED)
    rows = [("no dropout, exact", plain), ("dropout 0.5, exact", dropped), ("dropout 0.5, 1000 steps", trained.first)]
    table = Table(
        caption="Weights and what each feature contributes to the prediction",
        columns=("model", "w1", "w2", "w1/w2", "10·w1", "1·w2", "share of feature 1", "prediction of 11"),
        rows=tuple((name, *_contributions(result)) for name, result in rows if result),
    )
    comparisons = [
        compare_claim(
            quantity,
            sheet="“it might change”",
            correct=correct,
            correct_source=source,
            ours=None if dropped is None else _contributions(dropped)[place],
            ours_is_right=None if dropped is None else abs(_contributions(dropped)[place] - value) < 1e-9,
            sheet_is_right=False,
            because=because,
        )
        for quantity, correct, value, place, source, because in (
            (
                "w1/w2",
                "0.1, where it was 10",
                0.1,
                2,
                "equal contributions",
                "the sheet does not say how: dropping j adds the variance p/(1−p)·(xⱼwⱼ)², a tax on contributions",
            ),
            (
                "share of feature 1 in the prediction",
                "one half, where it was 99 %",
                0.5,
                5,
                "equal tax, equal contributions",
                "the sheet does not say how: the cheapest way to spread a sum under a sum of squares is evenly",
            ),
            (
                "prediction of 11",
                "22/3: two thirds",
                22 / 3,
                6,
                "22(1−p)/(2−p)",
                "the sheet does not say it: the tax also shrinks the sum",
            ),
        )
    ]
    return Answer(comparisons, table, [_contribution_bars(rows)] if plain and dropped else [])


def _contributions(result: dict[str, list[float]]) -> tuple[float, float, float, float, float, float, float]:
    w1, w2 = result["weights"]
    total = 10 * w1 + w2
    return w1, w2, w1 / w2, 10 * w1, w2, 10 * w1 / total, total


def _means_after(runs: Runs, *, sheet: str | None, because: str) -> list[Comparison]:
    steps = runs.outcomes[0].spec["iterations"] if runs else 0
    mean = mean_after(0.5, steps)
    comparisons: list[Comparison] = []
    for place in (0, 1):
        ours = runs.interval(weight(place))
        comparisons.append(
            compare_claim(
                f"w{place + 1} after {steps} steps",
                sheet=sheet,
                correct=f"{mean[place]:.4f}",
                correct_source=f"exact mean over all masks after {steps} steps",
                ours=ours,
                ours_is_right=None if ours is None else is_the_mean(runs, place, mean[place]),
                sheet_is_right=None if sheet is None else False,
                because=because,
            )
        )
    return comparisons


def _scatter_table(*several: Runs) -> Table:
    rows: list[tuple[str, Interval, float, Interval, float, Interval]] = []
    for runs in several:
        if not runs:
            continue
        w1, w2 = ([result["weights"][place] for result in runs.results] for place in (0, 1))
        sd = runs.results[0]["expected_weights_sd"]
        late = interval(runs.values("late_loss_mean"))
        rows.append((f"{runs.outcomes[0].spec['iterations']} steps", interval(w1), sd[0], interval(w2), sd[1], late))
    return Table(
        caption="Weights after the last step: mean over the seeds, and the exact standard deviation over all masks",
        columns=("run", "w1", "its exact sd", "w2", "its exact sd", "mean loss, second half"),
        rows=tuple(rows),
    )


def _trajectory(*several: Runs) -> FigureSpec:
    target = solution(0.5)
    series = [
        Series(
            label=f"{runs.outcomes[0].spec['iterations']} steps",
            kind="line",
            x=tuple(w[0] for w in runs.first["curve"]["weights"]),
            y=tuple(w[1] for w in runs.first["curve"]["weights"]),
        )
        for runs in reversed(several)
        if runs.first
    ]
    plot = Plot(
        title="Path of the weights",
        x_label="w1",
        y_label="w2",
        series=(
            *series,
            Series(label="least squares (11/30, 11/3)", kind="dots", x=(target[0],), y=(target[1],), color=3),
        ),
    )
    alt = "The path of (w1, w2) from zero, and the least-squares weights as a dot."
    return FigureSpec(
        name="1e-path", title="Fast along one eigenvector, slow along the other", alt=alt, panels=(plot,), columns=1
    )


def _contribution_bars(rows: Sequence[tuple[str, dict[str, list[float]] | None]]) -> FigureSpec:
    known = [(name, _contributions(result)) for name, result in rows if result]
    names = tuple(name for name, _ in known)
    places = tuple(float(place) for place in range(len(known)))
    plots = tuple(
        Plot(
            title=title,
            x_label="",
            y_label=unit,
            x_names=names,
            series=tuple(
                Series(label=label, kind="bars", x=places, y=tuple(values[place] for _, values in known))
                for label, place in bars
            ),
        )
        for title, unit, bars in (
            ("Weights", "weight", (("w1", 0), ("w2", 1))),
            ("Contributions", "part of the prediction", (("10·w1", 3), ("1·w2", 4))),
        )
    )
    alt = "Weights, and weight times input, of both features: exact without and with dropout, and trained."
    return FigureSpec(name="1f-contributions", title="Dropout taxes contributions", alt=alt, panels=plots)


def _noisy(batch: int) -> dict[str, object]:
    return {"dropout": 0.5, "batch_size": batch}


def _long(setting: Setting) -> Need:
    return Need(SLUG, {**_noisy(setting.pick(smoke=256, cpu=1024, full=1024)), "iterations": 10_000})


NOISE_QUESTIONS = (
    Question(
        "1d",
        "Dropout 0.5, SGD with one mask a step",
        "Train by SGD with a single random mask a step. Do the weights converge, and where to?",
        lambda _: [Need(SLUG, _noisy(1))],
        _answer_1d,
    ),
    Question(
        "1e",
        "Dropout 0.5, SGD with 1024 masks a step",
        "Average 1024 masks in every step and compare the weights with least squares.",
        lambda setting: [Need(SLUG, _noisy(1024)), _long(setting)],
        _answer_1e,
    ),
    Question(
        "1f",
        "What dropout does to the weights",
        "Compare the weights with and without dropout and explain the change.",
        lambda _: [EXACT, EXACT_HALF, Need(SLUG, _noisy(1024))],
        _answer_1f,
    ),
)
