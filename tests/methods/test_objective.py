import numpy as np
from conftest import problems
from hypothesis import given
from hypothesis import strategies as st
from reference import eq7, penalty, squared_error

from edlae_sweeps.methods import LowRank, training_fit
from edlae_sweeps.methods.full_rank import solve_full_rank


@given(problems(), st.integers(1, 9), st.integers(0, 2**31))
def test_low_rank_from_the_gram_alone(problem, k, seed):
    X, l2, dropout = problem
    U, V = np.random.default_rng(seed).standard_normal((2, X.shape[1], k))
    Lam = penalty(X, l2, dropout)
    fit = training_fit(X.T @ X, Lam.diagonal(), LowRank(U, V))
    np.testing.assert_allclose(fit.squared_error, squared_error(X, U @ V.T), rtol=1e-9)
    np.testing.assert_allclose(fit.objective, eq7(X, U @ V.T, Lam), rtol=1e-9)


@given(problems(), st.sampled_from(["edlae", "ridge", "between"]))
def test_full_rank_without_a_product_of_square_matrices(problem, member):
    X, l2, dropout = problem
    Lam = penalty(X, l2, dropout)
    choose = {"edlae": lambda c: 1 / c, "ridge": lambda _: Lam.diagonal(), "between": lambda c: 0.5 / c + 1}[member]
    model = solve_full_rank(X.T @ X, Lam.diagonal(), choose)
    B = model.B
    fit = training_fit(X.T @ X, Lam.diagonal(), model)
    scale = X.sum() * 1e-9
    np.testing.assert_allclose(fit.squared_error, squared_error(X, B), rtol=1e-8, atol=scale)
    np.testing.assert_allclose(fit.objective, eq7(X, B, Lam), rtol=1e-8, atol=scale)
    if member == "edlae":
        np.testing.assert_allclose(fit.objective, np.sum(model.d - Lam.diagonal()), rtol=1e-8, atol=scale)
