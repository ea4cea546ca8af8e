from dataclasses import replace

import numpy as np
from conftest import problems
from hypothesis import given
from hypothesis import strategies as st
from reference import edlae, eq7, penalty

from edlae_sweeps.datasets import TrainingData
from edlae_sweeps.evaluation import diagonal, weight_metrics
from edlae_sweeps.methods import Closed
from edlae_sweeps.models import FullRank, LowRank


@given(problems(), st.integers(1, 9), st.integers(0, 2**31))
def test_any_pair_against_the_full_rank_model(problem, k, seed):
    X, l2, dropout = problem
    n = X.shape[1]
    model = LowRank(*np.random.default_rng(seed).standard_normal((2, n, k)))
    Lam, G = penalty(X, l2, dropout), X.T @ X
    full = Closed(l2=l2, dropout=dropout).prepare(TrainingData(X, "float64"), 0).edlae
    W, B = model.U @ model.V.T, edlae(X, Lam)
    off = W - np.diag(W.diagonal())

    np.testing.assert_allclose(diagonal(model), W.diagonal(), atol=1e-12)
    metrics = weight_metrics(G, Lam.diagonal(), model, full)
    sides, residual = metrics["eq11"], metrics["residual"]
    Y, Z = np.vstack([X, np.zeros((n, n))]), np.vstack([X, np.sqrt(Lam)])
    near = np.sum((Z @ (B - off)) ** 2)
    scale = 1e-8 * (X.sum() + near)
    np.testing.assert_allclose(sides["left"], eq7(X, W, Lam), atol=scale)
    np.testing.assert_allclose(sides["left"], model.training_metrics(G, Lam.diagonal())["objective"], atol=scale)
    np.testing.assert_allclose(sides["approximation"], near, atol=scale)
    np.testing.assert_allclose(sides["right"], np.sum((Y - Z @ B) ** 2) + near, atol=scale)

    squares = (B - W) ** 2
    np.testing.assert_allclose(residual["diagonal"], squares.diagonal().mean(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        residual["off_diagonal"], squares[~np.eye(n, dtype=bool)].mean(), rtol=1e-8, atol=1e-8 * squares.max()
    )


def test_a_wrong_inverse_shows_in_eq_11():
    X = (np.random.default_rng(0).random((30, 8)) < 0.4).astype(float)
    method = Closed(l2=2.0, dropout=0.1)
    state = method.prepare(TrainingData(X, "float64"), 3)
    wrong = replace(state.edlae, B=state.edlae.B.copy())
    wrong.B[0, 1] += 0.01
    sides = weight_metrics(state.data.gram, state.penalty, method.fit(state, 3), wrong)["eq11"]
    assert abs(sides["left"] - sides["right"]) > 1e-4 * sides["left"]


def test_quantiles_of_the_diagonal():
    values = np.arange(101.0)[:, None] / 100
    model = LowRank(values, np.ones_like(values))
    quantiles = weight_metrics(np.eye(101), np.zeros(101), model, None)["diagonal"]
    assert quantiles == {"min": 0, "q05": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95, "max": 1}


def test_a_model_without_factors_has_no_weight_metrics():
    model = FullRank(np.eye(3), np.ones(3))
    assert weight_metrics(np.eye(3), np.zeros(3), model, None) == {}
    assert diagonal(model) is None
