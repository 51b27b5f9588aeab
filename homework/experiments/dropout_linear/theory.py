"""What can be said exactly about least squares under input dropout.

A row x with target y becomes z = x * m / keep with independent m_j ~ Bernoulli(keep_j), so E[z] = x and Var[z_j] =
(1 - keep_j)/keep_j x_j^2. The expected loss is therefore a ridge on the columns' contributions (Srivastava et al. 2014,
section 9.1; Wager, Wang and Liang 2013):

    L(w) = 1/N sum_n (y_n - x_n w)^2 + 1/N sum_j (1 - keep_j)/keep_j w_j^2 sum_n x_nj^2.

A bias is a last column of ones that is always kept. Shapes: N rows, D columns, the bias column included.
"""

from dataclasses import dataclass
from itertools import product
from typing import Self

import numpy as np
from numpy.typing import NDArray

from homework.experiments.dropout_linear.spec import DropoutLinearSpec

Array = NDArray[np.float64]

MAX_ENUMERATED_COLUMNS = 8
"""Variances need all 2^columns masks."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One least-squares problem with a keep probability for every column."""

    X: Array
    """Inputs, shape (N, D)."""
    y: Array
    """Targets, shape (N,)."""
    keep: Array
    """Probability of keeping an input of each column, shape (D,)."""

    @classmethod
    def of(cls, spec: DropoutLinearSpec) -> Self:
        """The problem a spec describes."""
        X_ND = np.array(spec.x, dtype=np.float64)
        keep_D = np.full(X_ND.shape[1], 1 - spec.dropout)
        if spec.bias:
            X_ND = np.column_stack([X_ND, np.ones(len(X_ND))])
            keep_D = np.append(keep_D, 1.0)
        return cls(X_ND, np.array(spec.y, dtype=np.float64), keep_D)

    @property
    def penalty(self) -> Array:
        """The price of each squared weight in the expected loss, shape (D,)."""
        price: Array = (1 - self.keep) / self.keep * np.square(self.X).mean(axis=0)
        return price

    @property
    def hessian(self) -> Array:
        """Second derivative of the expected loss, shape (D, D)."""
        hessian: Array = 2 * (self.X.T @ self.X / len(self.X) + np.diag(self.penalty))
        return hessian

    def solve(self) -> Array:
        """The minimiser of the expected loss, shape (D,); of several the one of least Euclidean norm.

        The penalty enters as extra rows, so one pseudo-inverse serves with and without dropout and nothing is squared.
        """
        N, D = self.X.shape
        rows = np.vstack([self.X, np.diag(np.sqrt(N * self.penalty))])
        targets = np.concatenate([self.y, np.zeros(D)])
        solution: Array = np.linalg.lstsq(rows, targets, rcond=None)[0]
        return solution

    def clean_loss(self, w_D: Array) -> float:
        """Mean squared error without dropout."""
        return float(np.square(self.X @ w_D - self.y).mean())

    def train_loss(self, w_D: Array) -> float:
        """Mean squared error with dropout, expected over the masks."""
        return self.clean_loss(w_D) + float(self.penalty @ np.square(w_D))

    def eigenvalues(self) -> Array:
        """Eigenvalues of the Hessian, largest first; those within rounding of zero are zero."""
        found = np.array(np.linalg.eigvalsh(self.hessian)[::-1], dtype=np.float64)
        found[found < 1e-12 * found[0]] = 0.0
        return found

    def mean_after(self, steps: int, learning_rate: float) -> Array:
        """E[w] after SGD from zero, shape (D,): a mask is independent of the weights it meets, so the mean takes the
        steps of gradient descent on the expected loss. Not finite where those diverge."""
        with np.errstate(over="ignore", invalid="ignore"):
            mean: Array = np.linalg.matrix_power(self._mean_step(learning_rate), steps)[:-1, -1]
        return mean

    def sd_after(self, steps: int, learning_rate: float, batch_size: int) -> Array:
        """Standard deviation of each weight after SGD from zero, shape (D,). Not finite where it overflows.

        A step is affine: (w, 1) <- G (w, 1) with G the mean of independent G_i, so the second moment M = E[(w,1)(w,1)']
        obeys vec M <- E[G kron G] vec M, and a matrix power gives it after any number of steps.
        """
        size = len(self.keep) + 1
        mean_GG = self._mean_square_step(learning_rate, batch_size)
        with np.errstate(over="ignore", invalid="ignore"):
            moved = np.linalg.matrix_power(mean_GG, steps)
            second_moment = np.diag(moved[:, -1].reshape(size, size))[:-1]
            variance = second_moment - np.square(self.mean_after(steps, learning_rate))
            sd: Array = np.sqrt(np.where(variance < 0, 0.0, variance))
        return sd

    def _mean_step(self, learning_rate: float) -> Array:
        D = len(self.keep)
        step = np.eye(D + 1)
        step[:D, :D] -= learning_rate * self.hessian
        step[:D, D] = 2 * learning_rate * self.X.T @ self.y / len(self.y)
        return step

    def _mean_square_step(self, learning_rate: float, batch_size: int) -> Array:
        """E[G kron G] = E[G] kron E[G] + 1/(B N^2) sum over rows of Cov[vec G_row]."""
        mean = self._mean_step(learning_rate)
        covariance = np.zeros((mean.size, mean.size))
        for x_D, y in zip(self.X, self.y, strict=True):
            covariance += self._covariance_of_step(x_D, float(y), learning_rate)
        return np.kron(mean, mean) + covariance / (batch_size * len(self.y) ** 2)

    def _covariance_of_step(self, x_D: Array, y: float, learning_rate: float) -> Array:
        D = len(x_D)
        mean, mean_square = np.zeros((D + 1, D + 1)), np.zeros(((D + 1) ** 2, (D + 1) ** 2))
        for mask in product(*((0.0, 1.0) if keep < 1 else (1.0,) for keep in self.keep)):
            m_D = np.array(mask)
            probability = float(np.prod(np.where(m_D > 0, self.keep, 1 - self.keep)))
            z_D = x_D * m_D / self.keep
            step = np.eye(D + 1)
            step[:D] -= 2 * learning_rate * np.outer(z_D, np.append(z_D, -y))
            mean += probability * step
            mean_square += probability * np.kron(step, step)
        return mean_square - np.kron(mean, mean)
