"""Dropout without rescaling, A = R * X with R_ij ~ Bernoulli(p): its expected Gram matrix and its minimisers.

    E[A'A] = p^2 X'X + p(1-p) diag(X'X)
    E|y - A w|^2 = |y - p X w|^2 + p(1-p) |G w|^2,  G = diag(column norms)

so that v = p w minimises |y - X v|^2 + |Gamma v|^2 with Gamma = sqrt((1-p)/p) G (Srivastava et al. 2014, section 9.1).
Shapes: X (n, d), y (n,), weights (d,), Gamma as its diagonal (d,).
"""

from itertools import product

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def expected_gram(X: Array, keep: float) -> Array:
    """E[A'A], shape (d, d): the diagonal keeps p, every other entry needs two independent survivors and keeps p^2."""
    gram = X.T @ X
    expected: Array = keep**2 * gram + keep * (1 - keep) * np.diag(np.diag(gram))
    return expected


def gram_sd(X: Array, keep: float) -> Array:
    """Standard deviation of each entry of A'A over the masks, shape (d, d).

    Rows are independent, and a product of two inputs survives with probability p on the diagonal, p^2 off it.
    """
    survives = np.where(np.eye(X.shape[1]) > 0, keep, keep**2)
    sd: Array = np.sqrt(survives * (1 - survives) * (np.square(X).T @ np.square(X)))
    return sd


def column_norms(X: Array) -> Array:
    """Euclidean norms of the columns."""
    return np.asarray(np.sqrt(np.square(X).sum(axis=0)), dtype=np.float64)


def gamma(X: Array, keep: float) -> Array:
    """The diagonal of the Tikhonov matrix that dropout amounts to."""
    diagonal: Array = np.sqrt((1 - keep) / keep) * column_norms(X)
    return diagonal


def dropout_weights(X: Array, y: Array, keep: float) -> Array:
    """Minimiser of E|y - A w|^2, with no formula: weighted least squares over all 2^d masks of every row."""
    masks = np.array(list(product((0.0, 1.0), repeat=X.shape[1])))
    kept = masks.sum(axis=1)
    root = np.sqrt(keep**kept * (1 - keep) ** (X.shape[1] - kept))
    rows = (root[:, None, None] * masks[:, None, :] * X).reshape(-1, X.shape[1])
    return least_squares(rows, np.outer(root, y).ravel())


def tikhonov(X: Array, y: Array, gamma_D: Array) -> Array:
    """Minimiser of |y - X w|^2 + |Gamma w|^2."""
    return least_squares(np.vstack([X, np.diag(gamma_D)]), np.concatenate([y, np.zeros(len(gamma_D))]))


def least_squares(rows: Array, targets: Array) -> Array:
    """The least-squares solution, of least norm where there are many."""
    return np.asarray(np.linalg.lstsq(rows, targets, rcond=None)[0], dtype=np.float64)
