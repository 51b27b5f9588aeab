"""Least squares under input dropout, by the closed form and by iteration.

Claim, for one data point x = (10, 1), y = 11 without bias, learning rate 1e-3, weights from zero, float64 on one CPU
core with torch 2.14.1:

- the minimiser is w = (1.1, 11) (1-p)/(2-p): both contributions are 11 (1-p)/(2-p), whatever the features' scales, and
  the expected training loss is 121 p/(2-p), the clean one 121 p^2/(2-p)^2;
- at p = 0 there are many minimisers: the pseudo-inverse and SGD end at (1.0891, 0.1089), Adam ends at (1, 1);
- at p = 0.5 SGD with batch 1 keeps moving about (0.367, 3.667): after 1000 steps 0.376 +- 0.142 and 3.485 +- 0.137
  (mean and standard deviation over all draws, exact); with batch 1024 the scatter is 1/32 of that, and the gap of 0.18
  in w2 is the slow eigenvalue 2.99 (time constant 334 steps), gone after 10000 steps.
"""

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from experiments.contract import Diverged, Run, Stopped
from gpulab.words import counted
from homework.experiments.dropout_linear.explanation import explain
from homework.experiments.dropout_linear.spec import Curve, DropoutLinearResult, DropoutLinearSpec
from homework.experiments.dropout_linear.theory import MAX_ENUMERATED_COLUMNS, Array, Problem

ALL_RECORDED = 2000
"""Runs up to this many steps record each one; longer ones record about as many."""
FIRST_STEPS = 100
CURVE_POINTS = 400
INPUTS_PER_DRAW = 2**18
DIVERGED_LOSS = 1e100
"""Early enough that whatever is computed from the weights is finite still."""


def run(spec: DropoutLinearSpec, run: Run) -> DropoutLinearResult:
    """Solve the problem of `spec`; raises `Diverged` where the loss grows without bound."""
    problem = Problem.of(spec)
    losses: list[float] = []
    curve = None
    if spec.method == "closed_form":
        w_D = problem.solve()
        run.metrics(0, _named(spec, problem.train_loss(w_D), w_D.tolist()))
    else:
        w_D, losses, curve = _descend(spec, problem, run)
    run.progress(1.0, "done")
    return _result(spec, problem, w_D, losses, curve)


def _descend(spec: DropoutLinearSpec, problem: Problem, run: Run) -> tuple[Array, list[float], Curve]:
    """Iterate from zero; returns the weights (D,), every batch loss, and the thinned-out curve."""
    w_D = torch.zeros(len(problem.keep), dtype=torch.float64)
    optimizer = _optimizer(spec, w_D)
    recorded, drawn = _recorded_steps(spec.iterations, ALL_RECORDED), _recorded_steps(spec.iterations, CURVE_POINTS)
    curve = Curve(steps=[], loss=[], weights=[])
    y_N = torch.from_numpy(problem.y)
    losses: list[float] = []
    for step, z_BND in enumerate(_batches(spec, problem, run)):
        if run.should_stop():
            raise Stopped(f"asked to stop at step {step} of {spec.iterations}")
        residual_BN = z_BND @ w_D - y_N
        loss = float(residual_BN.square().mean())
        if not loss < DIVERGED_LOSS:
            raise Diverged(f"the loss is {loss:.3g} at step {step}; a smaller learning_rate may help")
        losses.append(loss)
        if step in recorded or step in drawn:
            weights = w_D.tolist()
            if step in recorded:
                run.metrics(step, _named(spec, loss, weights))
            if step in drawn:
                curve.steps.append(step)
                curve.loss.append(loss)
                curve.weights.append(weights[: len(spec.x[0])])
        w_D.grad = 2 * torch.einsum("bn,bnd->d", residual_BN, z_BND) / residual_BN.numel()
        optimizer.step()
    return w_D.numpy(), losses, curve


def _optimizer(spec: DropoutLinearSpec, w_D: Tensor) -> torch.optim.Optimizer:
    if spec.optimizer == "adam":
        return torch.optim.Adam([w_D], lr=spec.learning_rate, foreach=False)
    return torch.optim.SGD([w_D], lr=spec.learning_rate, foreach=False)


def _batches(spec: DropoutLinearSpec, problem: Problem, run: Run) -> Iterator[Tensor]:
    """The dropped inputs of each step, shape (batch, N, D)."""
    X_ND, keep_D = torch.from_numpy(problem.X), torch.from_numpy(problem.keep)
    if spec.dropout == 0:
        # Copies of the same rows have the same mean gradient as the rows themselves.
        run.progress(0.0, counted(spec.iterations, "step"))
        yield from (X_ND[None] for _ in range(spec.iterations))
        return
    generator = torch.Generator().manual_seed(run.seed)
    scaled_ND = X_ND / keep_D
    # Drawing the masks of many steps at once halves the time of a run with small batches.
    per_draw = max(1, min(256, INPUTS_PER_DRAW // (spec.batch_size * X_ND.numel())))
    for first in range(0, spec.iterations, per_draw):
        run.progress(first / spec.iterations, f"step {first} of {spec.iterations}")
        count = min(per_draw, spec.iterations - first)
        uniform = torch.rand(count, spec.batch_size, *X_ND.shape, generator=generator, dtype=torch.float64)
        yield from (uniform < keep_D) * scaled_ND


def _recorded_steps(iterations: int, wanted: int) -> frozenset[int]:
    """The first hundred steps, and later ones evenly so that there are about `wanted` in all."""
    stride = max(1, math.ceil((iterations - FIRST_STEPS) / max(wanted - FIRST_STEPS, 1))) if iterations > wanted else 1
    return frozenset([*range(min(FIRST_STEPS, iterations)), *range(FIRST_STEPS, iterations, stride), iterations - 1])


def _named(spec: DropoutLinearSpec, loss: float, weights: list[float]) -> dict[str, float]:
    names = [f"w{j}" for j in range(1, len(spec.x[0]) + 1)] + ["bias"]
    return {"loss": loss, **dict(zip(names, weights, strict=False))}


def _result(
    spec: DropoutLinearSpec, problem: Problem, w_D: Array, losses: list[float], curve: Curve | None
) -> DropoutLinearResult:
    columns = len(spec.x[0])
    solution_D = problem.solve()
    eigenvalues = problem.eigenvalues().tolist()
    late = np.array(losses[len(losses) // 2 :])
    is_sgd = spec.method == "gradient" and spec.optimizer == "sgd"
    rate = spec.learning_rate
    result = DropoutLinearResult(
        weights=w_D[:columns].tolist(),
        bias=float(w_D[-1]) if spec.bias else None,
        closed_form_weights=solution_D[:columns].tolist(),
        closed_form_bias=float(solution_D[-1]) if spec.bias else None,
        contributions=(problem.X.mean(axis=0) * w_D)[:columns].tolist(),
        clean_prediction=(problem.X @ w_D).tolist(),
        clean_loss=problem.clean_loss(w_D),
        train_loss=problem.train_loss(w_D),
        closed_form_clean_loss=problem.clean_loss(solution_D),
        closed_form_train_loss=problem.train_loss(solution_D),
        last_batch_loss=losses[-1] if losses else None,
        late_loss_mean=float(late.mean()) if losses else None,
        late_loss_sd=float(late.std()) if losses else None,
        hessian_eigenvalues=eigenvalues,
        time_constants_steps=[1 / (rate * value) if value else None for value in eigenvalues] if is_sgd else None,
        expected_weights=_listed(problem.mean_after(spec.iterations, rate), columns) if is_sgd else None,
        expected_weights_sd=_listed(_scatter(spec, problem), columns) if is_sgd else None,
        curve=curve,
        explanation=[],
    )
    return result.model_copy(update={"explanation": explain(spec, result)})


def _scatter(spec: DropoutLinearSpec, problem: Problem) -> Array | None:
    if spec.dropout == 0:
        return np.zeros(len(problem.keep))
    if len(spec.x[0]) > MAX_ENUMERATED_COLUMNS:
        return None
    return problem.sd_after(spec.iterations, spec.learning_rate, spec.batch_size)


def _listed(values_D: Array | None, columns: int) -> list[float] | None:
    return None if values_D is None or not np.isfinite(values_D).all() else values_D[:columns].tolist()
