"""DEQL against a regression of each column, and against its loss over all masks of a small matrix."""

import numpy as np
import pytest
from cases import PLENTY, training
from conftest import problems
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import deql, deql_loss, eq7, penalty, squared_error

from edlae_sweeps.errors import ConfigError
from edlae_sweeps.methods import Closed, Deql, Unconstrained
from edlae_sweeps.models import LowRank

# Of 1/(1 − p), the limit of ρ.
SHARES = st.floats(0, 0.98)


def deql_of(l2: float, dropout: float, share: float) -> Deql:
    dropout = max(dropout, 0.01)
    return Deql(l2=l2, dropout=dropout, rho=share / (1 - dropout))


@given(problems(), SHARES)
def test_each_column_is_a_regression(problem, share):
    X, l2, dropout = problem
    method = deql_of(l2, dropout, share)
    W = method.fit(training(X), "full", resources=PLENTY).B
    np.testing.assert_allclose(W, deql(X, method.l2, method.dropout, method.rho), atol=1e-8)


@given(problems(), SHARES)
def test_training_metrics_of_the_full_rank_in_float64(problem, share):
    X, l2, dropout = problem
    method = deql_of(l2, dropout, share)
    state = method.prepare(training(X), 0, PLENTY)
    model = method.fit(state, "full")
    metrics, scale = state.training_metrics(model), 1e-8 * X.sum()
    assert metrics["squared_error"] == pytest.approx(squared_error(X, model.B), abs=scale)
    assert metrics["objective"] == pytest.approx(eq7(X, model.B, penalty(X, l2, method.dropout)), abs=scale)


@settings(max_examples=4)
@given(st.integers(0, 2**31), st.floats(0.5, 5), st.floats(0.05, 0.8), SHARES)
def test_the_objective_is_the_loss_over_all_masks(seed, l2, dropout, share):
    random = np.random.default_rng(seed)
    X = (random.random((3, 3)) < 0.6).astype(float)
    X[0] = 1
    method = deql_of(l2, dropout, share)
    state = method.prepare(training(X), 2, PLENTY)

    def loss(W: np.ndarray) -> float:
        return deql_loss(X, W, method.l2, method.dropout, method.rho)

    full = method.fit(state, "full")
    least = loss(full.B)
    assert state.training_metrics(full)["deql_objective"] == pytest.approx(least, rel=1e-10)
    low = [method.fit(state, k) for k in (1, 2)]
    for model in (*low, LowRank(*random.standard_normal((2, 3, 2)))):
        expected = loss(model.U @ model.V.T)
        assert state.training_metrics(model)["deql_objective"] == pytest.approx(expected, rel=1e-10)
        assert expected >= least
    # Stationary: the loss is quadratic, so equal steps either way change it equally.
    step = 0.1 * random.standard_normal((3, 3))
    assert loss(full.B + step) == pytest.approx(loss(full.B - step), rel=1e-9)


@given(problems(), st.data())
def test_low_rank_is_the_best_in_the_metric_of_a(problem, data):
    X, l2, dropout = problem
    n = X.shape[1]
    k = data.draw(st.integers(1, n))
    method = deql_of(l2, dropout, data.draw(SHARES))
    state = method.prepare(training(X), k, PLENTY)
    model, W = method.fit(state, k), method.fit(state, "full").B
    A = X.T @ X + np.diag(state.penalty)
    # The published formula: B(d) is W without (1−ρ)β of its diagonal β.
    B = W - (1 - method.rho) * np.diag(W.diagonal())
    energies = np.linalg.eigvalsh(B.T @ A @ B)[::-1]
    np.testing.assert_allclose(model.U, B @ model.V, atol=1e-8)
    np.testing.assert_allclose(model.V.T @ model.V, np.eye(k), atol=1e-9)
    assert np.trace(model.U.T @ A @ model.U) == pytest.approx(energies[:k].sum(), abs=1e-8 * max(1, energies.sum()))


@given(problems())
def test_rho_runs_from_edlae_to_ridge(problem):
    X, l2, dropout = problem
    dropout, data = max(dropout, 0.01), training(X)
    options = {"l2": l2, "dropout": dropout}
    ranks, off = (2, "full"), ~np.eye(X.shape[1], dtype=bool)
    first, closed, last, ridge = (
        method.fit_ranks(data, ranks, resources=PLENTY)
        for method in (Deql(**options, rho=0), Closed(**options), Deql(**options, rho=1), Unconstrained(**options))
    )
    np.testing.assert_allclose(first["full"].B[off], closed["full"].B[off], atol=1e-9)
    np.testing.assert_allclose(last["full"].B, ridge["full"].B, atol=1e-9)
    for one, limit in ((first, closed), (last, ridge)):
        # The subspace is free if eigenvalues tie, but not the squared norm of the model in the metric of A.
        A = X.T @ X + penalty(X, l2, dropout)
        energy, expected = (np.trace(model[2].U.T @ A @ model[2].U) for model in (one, limit))
        assert energy == pytest.approx(expected, abs=1e-8 * max(1, expected))


def test_without_penalty_and_weight_of_kept_entries():
    # t + ρ²D = 0 at λ = ρ = 0.
    X = np.vstack([np.eye(4)] * 3 + [np.ones((2, 4))])
    W = Deql(l2=0, dropout=0.3, rho=0).fit(training(X), "full", resources=PLENTY).B
    np.testing.assert_allclose(W, Closed(l2=0, dropout=0.3).fit(training(X), "full", resources=PLENTY).B, atol=1e-12)


@pytest.mark.parametrize("options", [{"rho": -0.1}, {"rho": 1.25, "dropout": 0.2}, {"rho": float("nan")}])
def test_weights_outside_their_range_are_refused(options):
    with pytest.raises(ConfigError, match=r"method\.rho=.*: choose a number from 0 to below"):
        Deql(**options)


def test_dropout_is_needed():
    with pytest.raises(ConfigError, match=r"method\.dropout=0: deql needs dropout"):
        Deql(dropout=0)
