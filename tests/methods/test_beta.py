"""The guesses of diag(UVᵀ) in the low-rank step of the closed form, on small random matrices in float64."""

import numpy as np
import pytest
from conftest import closed, problems
from hypothesis import given
from hypothesis import strategies as st
from reference import edlae, penalty

from edlae_sweeps.errors import ConfigError
from edlae_sweeps.methods import Beta
from edlae_sweeps.methods.closed import column_max


def fit(method, G: np.ndarray, k: int) -> np.ndarray:
    model = method.at_rank(method.factorise(G, method.penalty(G), k), k)
    return model.U @ model.V.T


def best_approximation(B: np.ndarray, beta: np.ndarray, A: np.ndarray, k: int) -> np.ndarray:
    """The rank-k matrix nearest to B + dMat(β) in the metric of A, by the SVD of A^½(B + dMat(β))."""
    root = np.linalg.cholesky(A).T
    left, values, right = np.linalg.svd(root @ (B + np.diag(beta)))
    return np.linalg.solve(root, left[:, :k] * values[:k] @ right[:k])


def distance(B: np.ndarray, beta: np.ndarray, A: np.ndarray, W: np.ndarray) -> float:
    difference = B + np.diag(beta) - W
    return float(np.trace(difference.T @ A @ difference))


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
    # Only what is above the diagonal counts.
    np.testing.assert_allclose(column_max(np.triu(C), d), expected_column_max(-C * d))
    np.testing.assert_array_equal(column_max(np.ones((1, 1)), np.ones(1)), [0])


@given(problems(), st.data())
def test_column_max_approximates_b_with_that_diagonal(problem, data):
    X, l2, dropout = problem
    k = data.draw(st.integers(1, X.shape[1]))
    G, Lam = X.T @ X, penalty(X, l2, dropout)
    B = edlae(X, Lam)
    beta = expected_column_max(B)
    ours = fit(closed(l2, dropout, Beta.column_max), G, k)
    theirs = best_approximation(B, beta, G + Lam, k)
    # Where singular values tie, the matrix is free, but not its distance.
    least = distance(B, beta, G + Lam, theirs)
    np.testing.assert_allclose(distance(B, beta, G + Lam, ours), least, rtol=1e-8, atol=1e-8 * X.sum())


@given(problems(), st.data())
def test_iterate_takes_the_diagonal_of_the_last_step(problem, data):
    X, l2, dropout = problem
    k = data.draw(st.integers(1, X.shape[1]))
    G, Lam = X.T @ X, penalty(X, l2, dropout)
    A, B = G + Lam, edlae(X, Lam)
    last = fit(closed(l2, dropout), G, k)
    for iterations in (1, 2, 3):
        ours = fit(closed(l2, dropout, Beta.iterate, iterations), G, k)
        beta = last.diagonal()
        least = distance(B, beta, A, best_approximation(B, beta, A, k))
        np.testing.assert_allclose(distance(B, beta, A, ours), least, rtol=1e-8, atol=1e-8 * X.sum())
        last = ours


def test_only_iterate_has_to_solve_each_rank_on_its_own():
    assert closed(1, 0, Beta.zero).nested
    assert closed(1, 0, Beta.column_max).nested
    assert not closed(1, 0, Beta.iterate).nested


def test_progress_of_iterate_is_told():
    calls = []
    method = closed(1, 0, Beta.iterate, 3)
    G = np.eye(4)
    method.at_rank(method.factorise(G, method.penalty(G), 2), 2, lambda *call: calls.append(call))
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_no_iteration_is_refused():
    with pytest.raises(ConfigError, match=r"method\.beta_iterations=0"):
        closed(1, 0, Beta.iterate, 0).check()
