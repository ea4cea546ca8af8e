"""Training metrics from the Gram matrix alone, against their definitions."""

import numpy as np
from cases import CHOOSE
from conftest import problems
from hypothesis import given
from hypothesis import strategies as st
from lbfgs import eq7_with_gradient
from reference import eq7, penalty, squared_error

from edlae_sweeps.methods.closed.inverse import solve_full_rank
from edlae_sweeps.models import LowRank


@given(problems(), st.integers(1, 9), st.integers(0, 2**31))
def test_low_rank_from_the_gram_matrix_alone(problem, k, seed):
    X, l2, dropout = problem
    U, V = np.random.default_rng(seed).standard_normal((2, X.shape[1], k))
    Lam = penalty(X, l2, dropout)
    fit = LowRank(U, V).training_metrics(X.T @ X, Lam.diagonal())
    np.testing.assert_allclose(fit["squared_error"], squared_error(X, U @ V.T), rtol=1e-9)
    np.testing.assert_allclose(fit["objective"], eq7(X, U @ V.T, Lam), rtol=1e-9)


@given(problems(), st.sampled_from(sorted(CHOOSE)))
def test_full_rank_without_a_product_of_square_matrices(problem, member):
    X, l2, dropout = problem
    Lam = penalty(X, l2, dropout)
    model = solve_full_rank(X.T @ X, Lam.diagonal(), CHOOSE[member])
    B = model.B
    fit = model.training_metrics(X.T @ X, Lam.diagonal())
    scale = X.sum() * 1e-9
    np.testing.assert_allclose(fit["squared_error"], squared_error(X, B), rtol=1e-8, atol=scale)
    np.testing.assert_allclose(fit["objective"], eq7(X, B, Lam), rtol=1e-8, atol=scale)
    if member == "edlae":
        np.testing.assert_allclose(fit["objective"], np.sum(model.d - Lam.diagonal()), rtol=1e-8, atol=scale)


@given(problems(), st.integers(1, 5), st.integers(0, 2**31))
def test_the_gradient_that_l_bfgs_uses(problem, k, seed):
    X, l2, dropout = problem
    Lam = penalty(X, l2, dropout)
    random = np.random.default_rng(seed)
    (U, V), (dU, dV) = random.standard_normal((2, 2, X.shape[1], k))
    value, left, right = eq7_with_gradient(X.T @ X, Lam.diagonal(), U, V)
    np.testing.assert_allclose(value, eq7(X, U @ V.T, Lam), rtol=1e-9)
    step = 1e-6
    ends = [eq7(X, (U + s * dU) @ (V + s * dV).T, Lam) for s in (step, -step)]
    scale = np.abs(left).sum() + np.abs(right).sum()
    np.testing.assert_allclose(
        (ends[0] - ends[1]) / (2 * step), np.sum(left * dU) + np.sum(right * dV), atol=1e-5 * scale
    )
