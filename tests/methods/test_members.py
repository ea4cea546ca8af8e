"""What distinguishes the members of the closed-form family, on small random matrices in float64."""

import numpy as np
import pytest
from conftest import EIG_TOL, closed, problems
from hypothesis import given
from hypothesis import strategies as st
from reference import penalty, squared_error

from edlae_sweeps.methods import Relaxed, RowWeights, Svd, Unconstrained, training_fit


def model_of(method, G: np.ndarray, rank):
    return method.at_rank(method.factorise(G, method.penalty(G), 0 if rank == "full" else rank), rank)


def ridge_objective(X: np.ndarray, W: np.ndarray, Lam: np.ndarray) -> float:
    return squared_error(X, W) + float(np.sum((np.sqrt(Lam) @ W) ** 2))


@given(problems())
def test_relaxed_runs_from_edlae_to_ridge(problem):
    X, l2, dropout = problem
    G = X.T @ X
    for xi, other in ((0.0, closed(l2, dropout)), (1.0, Unconstrained(l2, dropout, EIG_TOL))):
        expected = model_of(other, G, "full").B
        np.testing.assert_allclose(model_of(Relaxed(l2, dropout, EIG_TOL, xi), G, "full").B, expected, atol=1e-9)


@given(problems(), st.floats(0, 1), st.integers(0, 2**31))
def test_relaxed_is_the_best_of_all_models_with_a_bounded_diagonal(problem, xi, seed):
    X, l2, dropout = problem
    n = X.shape[1]
    Lam = penalty(X, l2, dropout)
    B = model_of(Relaxed(l2, dropout, EIG_TOL, xi), X.T @ X, "full").B
    assert (B.diagonal() <= xi + 1e-9).all()
    best = ridge_objective(X, B, Lam)
    random = np.random.default_rng(seed)
    for scale in (1e-3, 0.1):
        other = B + scale * random.standard_normal((n, n))
        other[np.diag_indices(n)] = np.minimum(other.diagonal(), xi)
        assert ridge_objective(X, other, Lam) >= best - 1e-9 * abs(best)


@given(problems())
def test_unconstrained_full_rank_is_ridge(problem):
    X, l2, dropout = problem
    G, Lam = X.T @ X, penalty(X, l2, dropout)
    B = model_of(Unconstrained(l2, dropout, EIG_TOL), G, "full").B
    np.testing.assert_allclose(B, np.linalg.solve(G + Lam, G), atol=1e-9)


@given(problems(max_users=10, max_items=7), st.integers(1, 6), st.integers(0, 2**31))
def test_unconstrained_is_at_least_as_good_as_alternating_least_squares(problem, k, seed):
    X, l2, dropout = problem
    n = X.shape[1]
    k = min(k, n)
    G, Lam = X.T @ X, penalty(X, l2, dropout)
    A = G + Lam
    model = model_of(Unconstrained(l2, dropout, EIG_TOL), G, k)
    ours = ridge_objective(X, model.U @ model.V.T, Lam)
    random = np.random.default_rng(seed)
    for _ in range(4):
        U = random.standard_normal((n, k))
        for _ in range(30):
            V = G @ U @ np.linalg.pinv(U.T @ A @ U)
            U = np.linalg.solve(A, G @ V) @ np.linalg.pinv(V.T @ V)
        assert ours <= ridge_objective(X, U @ V.T, Lam) * (1 + 1e-9)
    # Stationary in both factors.
    U, V = model.U, model.V
    np.testing.assert_allclose(A @ U @ (V.T @ V), G @ V, atol=1e-8 * np.abs(G).max())
    np.testing.assert_allclose(V @ (U.T @ A @ U), G @ U, atol=1e-8 * np.abs(G).max())


@given(problems(), st.integers(1, 9))
def test_svd_reaches_the_sum_of_the_trailing_squared_singular_values(problem, k):
    X, _, _ = problem
    k = min(k, X.shape[1])
    G = X.T @ X
    fit = training_fit(G, np.zeros(len(G)), model_of(Svd(EIG_TOL, RowWeights.none), G, k))
    bound = np.sum(np.linalg.svd(X, compute_uv=False)[k:] ** 2)
    assert fit.squared_error == pytest.approx(bound, abs=1e-9 * X.sum())
