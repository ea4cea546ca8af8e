"""The guesses of diag(UVᵀ) in the low-rank step of the closed form, on small random matrices in float64."""

import numpy as np
import pytest
from cases import PLENTY, training
from conftest import problems
from hypothesis import assume, given
from hypothesis import strategies as st
from reference import edlae, penalty

from edlae_sweeps.errors import ConfigError
from edlae_sweeps.methods import Closed
from edlae_sweeps.methods.closed.closed import column_max


def fit(method: Closed, X: np.ndarray, k: int) -> np.ndarray:
    """UVᵀ (n, n)."""
    model = method.fit(training(X), k, resources=PLENTY)
    return model.U @ model.V.T


def best_approximation(B: np.ndarray, beta: np.ndarray, A: np.ndarray, k: int) -> np.ndarray:
    """The rank-k matrix nearest to B + dMat(β) in the metric of A, by the SVD of A^½(B + dMat(β))."""
    root = np.linalg.cholesky(A).T
    left, values, right = np.linalg.svd(root @ (B + np.diag(beta)))
    return np.linalg.solve(root, left[:, :k] * values[:k] @ right[:k])


def distance(B: np.ndarray, beta: np.ndarray, A: np.ndarray, W: np.ndarray) -> float:
    difference = B + np.diag(beta) - W
    return float(np.trace(difference.T @ A @ difference))


def cut_is_sharp(B: np.ndarray, beta: np.ndarray, A: np.ndarray, k: int) -> bool:
    """Whether the best approximation of rank k is unique."""
    values = np.linalg.svd(np.linalg.cholesky(A).T @ (B + np.diag(beta)))[1]
    return k == len(B) or values[k - 1] - values[k] > 1e-6 * values[0]


def expected_column_max(B: np.ndarray) -> np.ndarray:
    n = len(B)
    return np.array([max([B[i, j] for i in range(n) if i != j], default=0.0) for j in range(n)])


@given(problems())
def test_column_max_is_the_largest_other_weight(problem):
    X, l2, dropout = problem
    Lam = penalty(X, l2, dropout)
    C = np.linalg.inv(X.T @ X + Lam)
    expected = expected_column_max(edlae(X, Lam))
    np.testing.assert_allclose(column_max(C, 1 / C.diagonal()), expected, atol=1e-9)


def test_column_max_of_many_rows_and_of_one():
    C = np.random.default_rng(0).standard_normal((600, 600))
    C += C.T
    d = np.random.default_rng(1).random(600)
    # Only entries above the diagonal count.
    np.testing.assert_allclose(column_max(np.triu(C), d), expected_column_max(-C * d))
    np.testing.assert_array_equal(column_max(np.ones((1, 1)), np.ones(1)), [0])


@given(problems(), st.data())
def test_column_max_approximates_b_with_that_diagonal(problem, data):
    X, l2, dropout = problem
    k = data.draw(st.integers(1, X.shape[1]))
    G, Lam = X.T @ X, penalty(X, l2, dropout)
    B = edlae(X, Lam)
    beta = expected_column_max(B)
    ours = fit(Closed(l2=l2, dropout=dropout, beta="column_max"), X, k)
    theirs = best_approximation(B, beta, G + Lam, k)
    # If singular values tie, the matrix is free, but not its distance.
    least = distance(B, beta, G + Lam, theirs)
    np.testing.assert_allclose(distance(B, beta, G + Lam, ours), least, rtol=1e-8, atol=1e-8 * X.sum())


@given(problems(), st.data())
def test_iterate_takes_the_diagonal_of_the_last_step(problem, data):
    X, l2, dropout = problem
    k = data.draw(st.integers(1, X.shape[1]))
    G, Lam = X.T @ X, penalty(X, l2, dropout)
    A, B = G + Lam, edlae(X, Lam)
    assume(cut_is_sharp(B, np.zeros(len(B)), A, k))
    last = fit(Closed(l2=l2, dropout=dropout), X, k)
    for iterations in (1, 2, 3):
        method = Closed(l2=l2, dropout=dropout, beta="iterate", beta_iterations=iterations)
        ours = fit(method, X, k)
        beta = last.diagonal()
        # Else the next β would depend on rounding.
        assume(cut_is_sharp(B, beta, A, k))
        least = distance(B, beta, A, best_approximation(B, beta, A, k))
        np.testing.assert_allclose(distance(B, beta, A, ours), least, rtol=1e-8, atol=1e-8 * X.sum())
        last = ours


def test_all_guesses_but_iterate_are_nested():
    assert Closed(beta="zero").nested
    assert Closed(beta="column_max").nested
    assert not Closed(beta="iterate").nested


def test_iterate_reports_progress():
    calls = []
    method = Closed(l2=1, dropout=0, beta="iterate", beta_iterations=3)
    method.fit(training(np.eye(4)), 2, resources=PLENTY, advance=lambda *call: calls.append(call))
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_zero_iterations_are_refused():
    with pytest.raises(ConfigError, match=r"method\.beta_iterations=0"):
        Closed(beta="iterate", beta_iterations=0)
