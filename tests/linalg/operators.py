"""A positive definite matrix, and its inverse by conjugate gradients."""

import numpy as np

from edlae_sweeps.linalg.conjugate import Deflation, Inverse


def problem(n: int = 120, penalty: float = 2.0) -> np.ndarray:
    """G + Λ of a matrix with a decaying spectrum and items of very different counts."""
    random = np.random.default_rng(0)
    X = (random.random((300, 6)) @ random.random((6, n)) ** 3 > random.random((300, n)) * 4).astype(float)
    return X.T @ X + np.diag(penalty + 0.1 * X.sum(axis=0))


def inverse(A: np.ndarray, tolerance: float, deflation: Deflation | None = None, threads: int = 1) -> Inverse:
    return Inverse(lambda Y: A.astype(Y.dtype) @ Y, np.zeros(len(A)), A.diagonal(), tolerance, deflation, threads)
