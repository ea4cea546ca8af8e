"""The methods, data and resources that the tests of this folder share."""

import numpy as np
from scipy.sparse import csr_array

from edlae_sweeps.datasets import TrainingData
from edlae_sweeps.errors import ConfigError
from edlae_sweeps.methods import (
    Admm,
    AdmmPublished,
    Closed,
    Dan,
    Deep,
    Denoising,
    Deql,
    Elsa,
    Ials,
    Relaxed,
    Svd,
    Unconstrained,
    ZeroDiag,
)
from edlae_sweeps.resources import GIB, Resources, cores

# Memory for the quickest layout of every problem here. Threads only slow small matrices down.
PLENTY = Resources(threads=1, memory=64 * GIB)
ALL_CORES = Resources(threads=cores(), memory=64 * GIB)

# A new method adds a row. Methods that need an extra have theirs in TRAINED.
LINEAR = {
    "closed": [
        Closed(l2=5, dropout=0.2),
        Closed(l2=2, dropout=0),
        Closed(l2=5, dropout=0.2, beta="column_max"),
        Closed(l2=5, dropout=0.2, beta="iterate", beta_iterations=2),
        Closed(l2=5, dropout=0.2, polish="v_step"),
        Closed(l2=5, dropout=0.2, polish="lbfgs", polish_iterations=5),
    ],
    "admm": [Admm(l2=5, dropout=0.2, epochs=5, omega=10)],
    "admm_published": [AdmmPublished(l2=5, dropout=0.2, epochs=5, omega=10)],
    "zero_diag": [ZeroDiag(l2=5, epochs=5), ZeroDiag(l2=5, dropout=0.2, epochs=5)],
    "unconstrained": [Unconstrained(l2=5, dropout=0.2)],
    "relaxed": [Relaxed(l2=5, dropout=0.2, xi=0.3)],
    "deql": [Deql(l2=5, dropout=0.2, rho=0.7)],
    "dan": [
        Dan(l2=5, dropout=0.2, alpha=0.3),
        Dan(l2=5, dropout=0.2, member="ridge", alpha=0.3, cut="W"),
        Dan(l2=5, dropout=0, member="relaxed", alpha=0, beta=0),
    ],
    "svd": [Svd(), Svd(row_weights="inverse_activity")],
}
LINEAR_CASES = [method for methods in LINEAR.values() for method in methods]


def deep(**changes: object) -> Deep:
    """A small network and a short training."""
    return Deep(**{"hidden": [24], "epochs": 5, "batch": 50, **changes})


def denoising(**changes: object) -> Denoising:
    """A short training."""
    return Denoising(**{"dropout": 0.3, "epochs": 5, "batch": 50, **changes})


def elsa(**changes: object) -> Elsa:
    """A short training."""
    return Elsa(**{"epochs": 5, "batch": 50, **changes})


TRAINED = {
    "ials": [Ials(l2=5, alpha=10, epochs=2)],
    "elsa": [elsa(epochs=2)],
    "deep": [deep(epochs=2)],
    "denoising": [denoising(epochs=2)],
}
# The extra that each of these needs.
EXTRAS = {"ials": "implicit", "elsa": "torch", "deep": "torch", "denoising": "torch"}

# d of three members, from diag C and diag Λ.
CHOOSE = {
    "edlae": lambda diag_C, _: 1 / diag_C,
    "ridge": lambda _, penalty: penalty,
    "between": lambda diag_C, _: 0.5 / diag_C + 1,
}

_random = np.random.default_rng(3)
SHAPES = {
    "more users than items": (_random.random((60, 12)) < 0.4).astype(float),
    "more items than users": (_random.random((8, 30)) < 0.4).astype(float),
    "items never seen": np.hstack([(_random.random((20, 6)) < 0.5).astype(float), np.zeros((20, 3))]),
    "one user": np.array([[1.0, 0, 1, 1, 0]]),
}


def training(X: np.ndarray | csr_array, dtype: str = "float64") -> TrainingData:
    """X with its Gram matrix in a type; float64 unless the test says otherwise."""
    return TrainingData(X, dtype)


def has_rank(method, rank, X: np.ndarray) -> bool:
    """Whether a method can fit a rank of X."""
    try:
        method.check_rank(rank)
    except ConfigError:
        return False
    # Unlike `admm`, the published updates invert a matrix that is singular if rank(X) < k.
    return method.name != "admm_published" or rank <= np.linalg.matrix_rank(X)


def topics(users: int, items: int, number: int = 8) -> np.ndarray:
    """A binary X of users who like some of a few topics: its spectrum decays."""
    random = np.random.default_rng(0)
    chances = random.random((users, number)) ** 4 @ random.random((number, items)) ** 4
    return (random.random((users, items)) < 0.5 * chances / chances.max()).astype(float)
