"""What distinguishes the members of the closed-form family, on small random matrices in float64."""

import numpy as np
import pytest
from cases import PLENTY, training
from conftest import problems
from hypothesis import given
from hypothesis import strategies as st
from reference import penalty, squared_error

from edlae_sweeps.methods import Closed, Relaxed, Svd, Unconstrained


def fit(method, X: np.ndarray, rank):
    return method.fit(training(X), rank, resources=PLENTY)


def ridge_objective(X: np.ndarray, W: np.ndarray, Lam: np.ndarray) -> float:
    return squared_error(X, W) + float(np.sum((np.sqrt(Lam) @ W) ** 2))


@given(problems())
def test_relaxed_runs_from_edlae_to_ridge(problem):
    X, l2, dropout = problem
    options = {"l2": l2, "dropout": dropout}
    for xi, limit in ((0, Closed(**options)), (1, Unconstrained(**options))):
        expected = fit(limit, X, "full").B
        np.testing.assert_allclose(fit(Relaxed(**options, xi=xi), X, "full").B, expected, atol=1e-9)


@given(problems(), st.floats(0, 1), st.integers(0, 2**31))
def test_relaxed_is_the_best_of_all_models_with_a_bounded_diagonal(problem, xi, seed):
    X, l2, dropout = problem
    n = X.shape[1]
    Lam = penalty(X, l2, dropout)
    B = fit(Relaxed(l2=l2, dropout=dropout, xi=xi), X, "full").B
    assert (B.diagonal() <= xi + 1e-9).all()
    best = ridge_objective(X, B, Lam)
    random = np.random.default_rng(seed)
    for scale in (1e-3, 0.1):
        W = B + scale * random.standard_normal((n, n))
        W[np.diag_indices(n)] = np.minimum(W.diagonal(), xi)
        assert ridge_objective(X, W, Lam) >= best - 1e-9 * abs(best)


@given(problems())
def test_unconstrained_full_rank_is_ridge(problem):
    X, l2, dropout = problem
    G, Lam = X.T @ X, penalty(X, l2, dropout)
    B = fit(Unconstrained(l2=l2, dropout=dropout), X, "full").B
    np.testing.assert_allclose(B, np.linalg.solve(G + Lam, G), atol=1e-9)


@given(problems(max_users=10, max_items=7), st.integers(1, 6), st.integers(0, 2**31))
def test_unconstrained_is_at_least_as_good_as_alternating_least_squares(problem, k, seed):
    X, l2, dropout = problem
    n = X.shape[1]
    k = min(k, n)
    G, Lam = X.T @ X, penalty(X, l2, dropout)
    A = G + Lam
    model = fit(Unconstrained(l2=l2, dropout=dropout), X, k)
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
    state = Svd().prepare(training(X), k, PLENTY)
    metrics = state.training_metrics(Svd().fit(state, k))
    bound = np.sum(np.linalg.svd(X, compute_uv=False)[k:] ** 2)
    assert metrics["squared_error"] == pytest.approx(bound, abs=1e-9 * X.sum())
    assert metrics["bound"] == pytest.approx(bound, abs=1e-9 * X.sum())
