"""Says in sentences what a result of `dropout-linear` shows; every number in them is computed."""

import math
from collections.abc import Sequence

from gpulab.words import counted
from homework.experiments.dropout_linear.spec import DropoutLinearResult, DropoutLinearSpec


def explain(spec: DropoutLinearSpec, result: DropoutLinearResult) -> list[str]:
    """Sentences for this spec and result, the most telling first."""
    found = _about_the_solution(spec, result)
    if spec.method == "closed_form":
        return found
    return found + (_about_adam(spec, result) if spec.optimizer == "adam" else _about_sgd(spec, result))


def _about_the_solution(spec: DropoutLinearSpec, result: DropoutLinearResult) -> list[str]:
    if spec.dropout > 0:
        price = spec.dropout / (1 - spec.dropout)
        tax = (
            f"Dropout adds {price:.4g} times the squared contribution of each input to the loss. It taxes "
            "contributions, not weights, so a small feature gets a large weight, and the prediction shrinks."
        )
        return [tax, f"No weights reach an expected training loss below {result.closed_form_train_loss:.6g}."]
    if flat := result.hessian_eigenvalues.count(0.0):
        singular = (
            f"Without dropout X'X is singular ({counted(flat, 'flat direction')}): many weights fit equally well, and "
            "the inverse in (X'X)^-1 X'y does not exist. The pseudo-inverse picks the weights of least Euclidean norm."
        )
        return [singular]
    return ["Without dropout X'X is regular: least squares has exactly one solution."]


def _about_sgd(spec: DropoutLinearSpec, result: DropoutLinearResult) -> list[str]:
    found = []
    if spec.dropout == 0 and 0.0 in result.hessian_eigenvalues:
        found.append("Gradient descent from zero stays in the span of the rows, so it ends at the least-norm weights.")
    slowest = max((value for value in result.time_constants_steps or [] if value is not None), default=0.0)
    left = max(0.0, 1 - 1 / slowest) ** spec.iterations if slowest else 0.0
    if left > 1e-3 and result.expected_weights:
        gaps = [mean - best for mean, best in zip(result.expected_weights, result.closed_form_weights, strict=True)]
        found.append(
            f"The slowest direction has a time constant of {slowest:.4g} steps: after "
            f"{counted(spec.iterations, 'step')} {left:.1%} of its error is left, for any batch size. "
            f"On average that leaves the weights {_listed(gaps, '+.4f')} from the closed form."
        )
    if result.expected_weights and result.expected_weights_sd and spec.dropout > 0:
        found.append(
            f"Over all draws of the masks the weights after {counted(spec.iterations, 'step')} have mean "
            f"{_listed(result.expected_weights, '.4f')} and standard deviation "
            f"{_listed(result.expected_weights_sd, '.2g')}. With a constant step they never settle; the scatter "
            "falls as 1/sqrt(batch_size)."
        )
    return found


def _about_adam(spec: DropoutLinearSpec, result: DropoutLinearResult) -> list[str]:
    found = []
    if 0.0 in result.hessian_eigenvalues:
        found.append(
            "Adam divides each coordinate by the size of its gradients, so among many minimisers it reaches another "
            "one than SGD: with a single row of positive inputs all weights move alike."
        )
    needed = math.ceil(max(map(abs, result.closed_form_weights)) / spec.learning_rate)
    if spec.iterations < needed:
        found.append(
            f"Adam moves a weight by about learning_rate a step: the closed form is {needed} steps away, more than "
            f"the {spec.iterations} given."
        )
    return found


def _listed(values: Sequence[float], how: str) -> str:
    return "(" + ", ".join(format(value, how) for value in values) + ")"
