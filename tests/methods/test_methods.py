"""What holds for every method, type and shape of data: a new method adds a row to METHODS_UNDER_TEST."""

import tracemalloc

import numpy as np
import pytest
from conftest import EIG_TOL, closed
from scipy.sparse import csr_array

from edlae_sweeps.errors import ConfigError, SolverError
from edlae_sweeps.methods import (
    METHODS,
    Admm,
    AdmmPublished,
    Beta,
    FullRank,
    LowRank,
    Relaxed,
    RowWeights,
    Svd,
    Unconstrained,
    ZeroDiag,
    training_fit,
)

METHODS_UNDER_TEST = {
    "closed": [
        closed(5.0, 0.2),
        closed(2.0, 0.0),
        closed(5.0, 0.2, Beta.column_max),
        closed(5.0, 0.2, Beta.iterate, 2),
    ],
    "admm": [Admm(5.0, 0.2, 5, 0.0, 0, 10.0)],
    "admm_published": [AdmmPublished(5.0, 0.2, 5, 0.0, 0, 10.0)],
    "zero_diag": [ZeroDiag(5.0, 0.0, 5, 0.0, 0), ZeroDiag(5.0, 0.2, 5, 0.0, 0)],
    "unconstrained": [Unconstrained(5.0, 0.2, EIG_TOL)],
    "relaxed": [Relaxed(5.0, 0.2, EIG_TOL, 0.3)],
    "svd": [Svd(EIG_TOL, RowWeights.none), Svd(EIG_TOL, RowWeights.inverse_activity)],
}
CASES = [method for methods in METHODS_UNDER_TEST.values() for method in methods]

random = np.random.default_rng(3)
SHAPES = {
    "more users than items": (random.random((60, 12)) < 0.4).astype(float),
    "more items than users": (random.random((8, 30)) < 0.4).astype(float),
    "items never seen": np.hstack([(random.random((20, 6)) < 0.5).astype(float), np.zeros((20, 3))]),
    "one user": np.array([[1.0, 0, 1, 1, 0]]),
}


# They need an extra, and have the same tests where it is: test_deep.py.
TRAINED = {"deep", "denoising"}


def test_every_registered_method_is_under_test():
    assert METHODS_UNDER_TEST.keys() == METHODS.keys() - TRAINED


def has_rank(method, rank, X: np.ndarray) -> bool:
    try:
        method.check_rank(rank)
    except ConfigError:
        return False
    # The published updates invert what this one keeps from being inverted.
    return method.name != "admm_published" or rank <= np.linalg.matrix_rank(X)


@pytest.mark.parametrize("method", CASES, ids=repr)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
def test_models_of_every_rank(method, dtype, shape):
    X = SHAPES[shape].astype(dtype)
    n = X.shape[1]
    G = X.T @ X
    before = G.copy()
    penalty = method.penalty(G)
    state = method.learn(csr_array(X), G, penalty, n)
    assert np.array_equal(G, before)
    ranks = [rank for rank in (1, min(3, n), n, "full") if has_rank(method, rank, X)]
    for rank in ranks:
        model = method.at_rank(state, rank)
        scores = model.scores(csr_array(X))
        assert scores.shape == X.shape
        assert scores.dtype == dtype
        assert np.isfinite(scores).all()
        if rank == "full":
            assert isinstance(model, FullRank)
            assert model.B.shape == (n, n)
        else:
            assert isinstance(model, LowRank)
            assert model.U.shape == model.V.shape == (n, rank)
        fit = training_fit(G, penalty, model)
        assert np.isfinite([fit.squared_error, fit.objective]).all()
        assert np.array_equal(G, before)
    if "full" not in ranks:
        return
    # No rank at all leaves the full model.
    np.testing.assert_allclose(
        method.at_rank(method.factorise(G, penalty, 0), "full").scores(csr_array(X)), scores, rtol=1e-5
    )


@pytest.mark.parametrize("method", CASES, ids=repr)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rank", [0, 40, 800])
def test_memory_estimate_is_what_is_used(method, dtype, rank):
    n = 800
    X = (np.random.default_rng(0).random((900, n)) < 0.05).astype(dtype)
    if not has_rank(method, rank or "full", X):
        return
    G = X.T @ X
    penalty = method.penalty(G)
    sparse = csr_array(X)
    tracemalloc.start()
    method.at_rank(method.learn(sparse, G, penalty, rank), rank or "full")
    measured = tracemalloc.get_traced_memory()[1] + G.nbytes
    tracemalloc.stop()
    estimate = method.peak_bytes(n, rank, G.itemsize)
    # The blocks of a mirrored triangle do not grow with n.
    assert measured <= 1.02 * estimate + 5e6 * G.itemsize / 8
    assert estimate <= 1.5 * measured


@pytest.mark.parametrize(
    ("l2", "dropout"),
    [(-1, 0), (1e16, 0), (float("nan"), 0), (float("inf"), 0), (1, 1), (1, -0.1), (1, float("nan")), (1, 1.5)],
)
def test_penalties_outside_their_range_are_refused(l2, dropout):
    with pytest.raises(ConfigError, match=r"method\.(l2|dropout)="):
        closed(l2, dropout).check()


@pytest.mark.parametrize("xi", [-0.1, 1.1, float("nan")])
def test_bounds_of_the_diagonal_outside_their_range_are_refused(xi):
    with pytest.raises(ConfigError, match=r"method\.xi="):
        Relaxed(1.0, 0.0, EIG_TOL, xi).check()


def test_svd_has_no_full_rank():
    with pytest.raises(ConfigError, match="svd at full rank is the identity"):
        Svd(EIG_TOL, RowWeights.none).check_rank("full")


def test_items_that_make_the_unregularised_problem_singular_are_told_the_remedy():
    X = SHAPES["items never seen"]
    method = closed(0.0, 0.0)
    with pytest.raises(SolverError, match=r"raise method\.l2 or method\.dropout"):
        method.factorise(X.T @ X, method.penalty(X.T @ X), 1)
