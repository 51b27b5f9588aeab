"""The truth about questions 1a to 1h in plain Python, apart from the experiment that it judges.

One data point x = (10, 1), y = 11, no bias, learning rate 1e-3, weights from zero, drop probability p, keep q = 1 - p.
"""

import math
from collections.abc import Callable
from typing import Any

LEARNING_RATE = 1e-3
Pair = tuple[float, float]


def solution(p: float) -> Pair:
    """The minimiser (w1, w2) of the expected loss: both contributions are 11 q/(1 + q). The least norm at p = 0."""
    if p == 0:
        return 110 / 101, 11 / 101
    contribution = 11 * (1 - p) / (2 - p)
    return contribution / 10, contribution


def weight(place: int) -> Callable[[dict[str, Any]], float]:
    """Reads the weight at a place from a result of `dropout-linear`."""
    return lambda result: float(result["weights"][place])


def clean_loss(p: float) -> float:
    """Squared error of the minimiser with dropout off: 121 p^2/(2 - p)^2."""
    return 121 * (p / (2 - p)) ** 2


def train_loss(p: float) -> float:
    """Least expected squared error with dropout on: 121 p/(2 - p)."""
    return 121 * p / (2 - p)


def mean_after(p: float, steps: int) -> Pair:
    """Mean of the weights over all masks after SGD from zero: gradient descent on the expected loss, step by step."""
    q = 1 - p
    w1 = w2 = 0.0
    for _ in range(steps):
        gradient_1 = 200 / q * w1 + 20 * w2 - 220
        gradient_2 = 20 * w1 + 2 / q * w2 - 22
        w1 -= LEARNING_RATE * gradient_1
        w2 -= LEARNING_RATE * gradient_2
    return w1, w2


def slow_time_constant(p: float) -> float:
    """Steps in which the slowest error of the mean shrinks e-fold: 1/(learning rate x least eigenvalue)."""
    q = 1 - p
    half_trace, determinant = 101 / q, 400 / q**2 - 400
    least = half_trace - math.sqrt(half_trace**2 - determinant)
    return 1 / (LEARNING_RATE * least)
