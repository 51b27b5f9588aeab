"""Finished runs to judge: real results of cheap experiments, and made-up replicas of expensive ones."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.study_runs import finished

__all__ = ["finished", "replica"]


@pytest.fixture
def replica() -> Callable[..., dict[str, Any]]:
    """Makes the result of one training of `edge-bands` out of what matters to a test."""

    def make(seed: int, accuracy: float = 0.9, **changes: Any) -> dict[str, Any]:
        right = round(50 * accuracy)
        rest = 50 - right
        fields: dict[str, Any] = {
            "seed": seed,
            "train_accuracy": accuracy,
            "validation_accuracy": accuracy,
            "collapsed": False,
            "dead_features": 0,
            "confusion": [[right, rest, 0], [rest, right, 0], [0, 0, 50]],
            "train_losses": [1.0, 0.5],
            "validation_losses": [1.0, 0.6],
            "train_accuracies": [0.3, accuracy],
            "validation_accuracies": [0.3, accuracy],
            "kernels_before": None,
            "kernels_after": None,
        }
        return {**fields, **changes}

    return make
