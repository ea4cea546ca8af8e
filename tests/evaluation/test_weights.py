import numpy as np
from conftest import closed, problems
from hypothesis import given
from hypothesis import strategies as st
from reference import edlae, eq7, penalty

from edlae_sweeps.evaluation import diagonal, diagonal_quantiles, eq_11, residual
from edlae_sweeps.methods import LowRank, training_fit


@given(problems(), st.integers(1, 9), st.integers(0, 2**31))
def test_any_pair_against_the_full_rank_model(problem, k, seed):
    X, l2, dropout = problem
    n = X.shape[1]
    model = LowRank(*np.random.default_rng(seed).standard_normal((2, n, k)))
    Lam, G = penalty(X, l2, dropout), X.T @ X
    method = closed(l2, dropout)
    full = method.at_rank(method.factorise(G, Lam.diagonal(), 0), "full")
    W, B = model.U @ model.V.T, edlae(X, Lam)
    off = W - np.diag(W.diagonal())

    np.testing.assert_allclose(diagonal(model), W.diagonal(), atol=1e-12)
    sides = eq_11(G, Lam.diagonal(), full, model)
    Y, Z = np.vstack([X, np.zeros((n, n))]), np.vstack([X, np.sqrt(Lam)])
    near = np.sum((Z @ (B - off)) ** 2)
    scale = 1e-8 * (X.sum() + near)
    np.testing.assert_allclose(sides["left"], eq7(X, W, Lam), atol=scale)
    np.testing.assert_allclose(sides["left"], training_fit(G, Lam.diagonal(), model).objective, atol=scale)
    np.testing.assert_allclose(sides["approximation"], near, atol=scale)
    np.testing.assert_allclose(sides["right"], np.sum((Y - Z @ B) ** 2) + near, atol=scale)

    squares = (B - W) ** 2
    found = residual(full, model)
    np.testing.assert_allclose(found["diagonal"], squares.diagonal().mean(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        found["off_diagonal"], squares[~np.eye(n, dtype=bool)].mean(), rtol=1e-8, atol=1e-8 * squares.max()
    )


def test_a_wrong_inverse_shows_in_eq_11():
    X = (np.random.default_rng(0).random((30, 8)) < 0.4).astype(float)
    G, method = X.T @ X, closed(2.0, 0.1)
    state = method.factorise(G, method.penalty(G), 3)
    state.full.B[0, 1] += 0.01
    sides = eq_11(G, method.penalty(G), state.full, method.at_rank(state, 3))
    assert abs(sides["left"] - sides["right"]) > 1e-4 * sides["left"]


def test_quantiles():
    found = diagonal_quantiles(np.arange(101) / 100)
    assert found == {"min": 0, "q05": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95, "max": 1}
