"""The page on GPU memory is what its results say, and the estimator is as near as the lab promises."""

import re

from benchmarks import render_memory
from benchmarks.render_memory import errors, quantile

PROMISED_ERROR = 0.05
"""Of the peak of tensors, at the 95th percentile; also the margin that no prediction may be under by."""


def test_page_shows_the_committed_results() -> None:
    page = render_memory.PAGE.read_text()
    assert render_memory.rendered(page, render_memory.measured()) == page


def test_page_has_no_placeholder() -> None:
    assert not re.findall(r"\b[A-Z]{4,}_[A-Z_]+\b", render_memory.PAGE.read_text())


def test_results_cover_the_models_and_keep_the_promise() -> None:
    rows = render_memory.measured()["steps"]
    models = {row["model"] for row in rows}
    cases = {(row["model"], row["batch_size"], row["optimizer"]) for row in rows}
    assert len(models) >= 20
    assert len(cases) == len(rows) == 9 * len(models)
    assert all(any(model.startswith(kind) for model in models) for kind in ("resnet", "vgg", "densenet", "mobilenet"))
    assert all(any(model.startswith(kind) for model in models) for kind in ("efficientnet", "regnet", "convnext"))
    assert all(any(model.startswith(kind) for model in models) for kind in ("vit", "swin"))
    found = errors(rows)
    assert quantile([abs(error) for error in found], 0.95) <= PROMISED_ERROR
    assert min(found) >= -PROMISED_ERROR


def test_quantile_is_a_value_that_the_share_does_not_exceed() -> None:
    values = [float(n) for n in range(1, 21)]
    assert quantile(values, 0.95) == 19
    assert quantile(values, 1.0) == 20
    assert quantile([3.0], 0.5) == 3
