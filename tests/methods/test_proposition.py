"""The Proposition (Eqs. 1-6, 18-24) for arbitrary hidden units, and its limits."""

import numpy as np
import pytest
from cases import PLENTY, training
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.sparse import csr_array

from edlae_sweeps.methods import Svd
from edlae_sweeps.methods.bound import bounds, output_layer, row_weights, squared_error

NONLINEAR = {
    "tanh": np.tanh,
    "relu": lambda a: np.maximum(a, 0),
    "square": np.square,
    "step": np.sign,
    "sine": lambda a: np.sin(7 * a),
    "largest": lambda a: a * (a == a.max(axis=1, keepdims=True)),
}


def tail(X: np.ndarray, k: int) -> float:
    """Σ_{i>k} σ_i²(X), from all singular values."""
    return float(np.sum(np.linalg.svd(X, compute_uv=False)[k:] ** 2))


def least(X: np.ndarray, Z: np.ndarray) -> float:
    """min over V of ‖X − ZVᵀ‖²."""
    return float(np.sum((X - Z @ np.linalg.lstsq(Z, X, rcond=None)[0]) ** 2))


@st.composite
def hidden_units(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """X (m, n), binary or not, and hidden units Z (m, k) of a random network of any depth, or of no network."""
    m, n = draw(st.integers(1, 12)), draw(st.integers(1, 9))
    k = draw(st.integers(1, n))
    random = np.random.default_rng(draw(st.integers(0, 2**31)))
    X = random.standard_normal((m, n))
    if draw(st.booleans()):
        X = (draw(st.floats(-1, 1)) < X).astype(float)
    Z = X
    for name in draw(st.lists(st.sampled_from(sorted(NONLINEAR)), max_size=3)):
        Z = NONLINEAR[name](Z @ random.standard_normal((Z.shape[1], draw(st.integers(1, 12)))) + random.normal())
    Z = Z @ random.standard_normal((Z.shape[1], k))
    if draw(st.booleans()):
        # Free user factors, as of matrix factorisation: more general than any function of X.
        Z = random.standard_normal((m, k))
    return X, Z


@given(hidden_units())
def test_no_hidden_units_fit_better_than_the_leading_directions(pair):
    X, Z = pair
    k = Z.shape[1]
    assert least(X, Z) >= tail(X, k) - 1e-9 * np.sum(X**2)
    Q = np.linalg.svd(X)[2][:k].T
    np.testing.assert_allclose(least(X, X @ Q), tail(X, k), atol=1e-9 * max(1, np.sum(X**2)))


@given(hidden_units(), st.integers(0, 2**31))
def test_the_bound_holds_with_row_weights(pair, seed):
    X, Z = pair
    k = Z.shape[1]
    w = np.random.default_rng(seed).integers(1, 5, len(X)).astype(float)
    root = np.sqrt(w)[:, None]
    weighted = least(root * X, root * Z)
    assert weighted >= tail(root * X, k) - 1e-9 * np.sum(w @ X**2)
    Q = np.linalg.svd(root * X)[2][:k].T
    np.testing.assert_allclose(least(root * X, root * X @ Q), tail(root * X, k), atol=1e-9 * max(1, np.sum(w @ X**2)))
    # A weight of three equals three identical users.
    times = w.astype(int)
    repeated = least(np.repeat(X, times, axis=0), np.repeat(Z, times, axis=0))
    np.testing.assert_allclose(weighted, repeated, atol=1e-9 * max(1, np.sum(w @ X**2)))
    np.testing.assert_allclose(
        tail(root * X, k), tail(np.repeat(X, times, axis=0), k), atol=1e-9 * max(1, np.sum(w @ X**2))
    )


@given(hidden_units(), st.integers(0, 2**31))
def test_the_output_layer_is_optimal_and_its_error_exact(pair, seed):
    X, Z = pair
    w = np.random.default_rng(seed).uniform(0.1, 3, len(X))
    ZtZ, XtZ = Z.T @ (w[:, None] * Z), X.T @ (w[:, None] * Z)
    V = output_layer(ZtZ, XtZ)
    energy = float(w @ np.sum(X**2, axis=1))
    exact = float(w @ np.sum((X - Z @ V.T) ** 2, axis=1))
    root = np.sqrt(w)[:, None]
    np.testing.assert_allclose(exact, least(root * X, root * Z), rtol=1e-7, atol=1e-8 * max(1, energy))
    np.testing.assert_allclose(squared_error(energy, ZtZ, XtZ, V), exact, rtol=1e-9, atol=1e-9 * max(1, energy))


@given(hidden_units(), st.integers(0, 2**31))
def test_bounds_agree_with_all_singular_values(pair, seed):
    X, Z = pair
    k = Z.shape[1]
    for w in (np.ones(len(X)), np.random.default_rng(seed).uniform(0.1, 3, len(X))):
        root = np.sqrt(w)[:, None]
        Q, tails = bounds(csr_array(X), w, k)
        np.testing.assert_allclose(
            tails, [tail(root * X, i) for i in range(1, k + 1)], atol=1e-10 * max(1, np.sum(w @ X**2))
        )
        np.testing.assert_allclose(Q.T @ Q, np.eye(k), atol=1e-10)


def test_bounds_of_a_larger_matrix_are_the_same_by_both_routes():
    X = csr_array((np.random.default_rng(0).random((150, 60)) < 0.2).astype(np.float32))
    w = row_weights("inverse_activity", X)
    dense = X.toarray() * np.sqrt(w)[:, None]
    # Few pairs are computed from products with X alone, many from the whole matrix.
    for k in (1, 6, 7, 59, 60):
        Q, tails = bounds(X, w, k)
        np.testing.assert_allclose(tails, [tail(dense, i) for i in range(1, k + 1)], atol=1e-9)
        assert Q.shape == (60, k)
        np.testing.assert_allclose(np.sum((dense - dense @ Q @ Q.T) ** 2), tails[-1], atol=1e-9)


def test_row_weights_have_mean_1_and_fall_with_activity():
    X = csr_array(np.array([[1.0, 0, 0], [1, 1, 0], [1, 1, 1], [0, 0, 0]]))
    w = row_weights("inverse_activity", X)
    assert w.mean() == pytest.approx(1)
    np.testing.assert_allclose(w / w[0], [1, 1 / 2, 1 / 3, 1])
    assert np.array_equal(row_weights("none", X), np.ones(4))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["none", "inverse_activity"])
def test_svd_with_row_weights_is_the_svd_of_the_weighted_rows(dtype, kind):
    X = csr_array((np.random.default_rng(0).random((40, 9)) < 0.4).astype(dtype))
    method = Svd(row_weights=kind)
    state = method.prepare(training(X, dtype), 9, PLENTY)
    root = np.sqrt(row_weights(kind, X))[:, None]
    for k in (1, 4):
        model = method.fit(state, k)
        metrics = state.training_metrics(model)
        assert model.U.dtype == dtype
        np.testing.assert_allclose(metrics["bound"], tail(root * X.toarray(), k), rtol=1e-5)
        np.testing.assert_allclose(metrics["ratio"], 1, rtol=1e-5)
        residual = X.toarray() - model.scores(X)
        np.testing.assert_allclose(metrics["ratio"] * metrics["bound"], np.sum((root * residual) ** 2), rtol=1e-5)
        # The squared error itself has no weights.
        np.testing.assert_allclose(metrics["squared_error"], np.sum(residual**2), rtol=1e-5)


# Three models outside the Proposition that beat its bound, each beside one that meets its condition and does not.


def best_linear(X: np.ndarray, loss, k: int) -> float:
    """The least loss(X U Vᵀ) over U, V (n, k), by descent from many starts."""
    n = X.shape[1]

    def at(flat: np.ndarray) -> float:
        return float(loss(X @ flat[: n * k].reshape(n, k) @ flat[n * k :].reshape(n, k).T))

    random = np.random.default_rng(0)
    return min(minimize(at, random.standard_normal(2 * n * k)).fun for _ in range(20))


def test_weights_of_single_entries_break_the_bound():
    # Rows 1 and 2 ask for one entry each. A linear encoder must give their sum to row 3; a maximum gives 1 to all.
    X = np.array([[1.0, 0], [0, 1], [1, 1]])
    S = np.array([[1.0, 0.01], [0.01, 1], [1, 1]])
    linear = best_linear(X, lambda scores: np.sum(S * (X - scores) ** 2), 1)
    Z = X.max(axis=1, keepdims=True)
    V = np.ones((2, 1))
    nonlinear = np.sum(S * (X - Z @ V.T) ** 2)
    assert nonlinear == pytest.approx(0.02)
    assert nonlinear < 0.1 * linear
    # Weights that are equal within each row are row weights.
    linear = best_linear(X, lambda scores: np.sum((X - scores) ** 2), 1)
    assert linear == pytest.approx(tail(X, 1))
    assert least(X, Z) >= linear


def test_a_nonlinear_output_layer_breaks_the_bound():
    # Two hidden units place twelve users on a circle; a threshold on their products separates them.
    X = np.eye(12)
    angle = 2 * np.pi * np.arange(12) / 12
    Z = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    scores = (np.cos(np.pi / 12) < Z @ Z.T).astype(float)
    assert tail(X, 2) == pytest.approx(10)
    assert np.sum((X - scores) ** 2) == 0
    assert least(X, Z) >= tail(X, 2)


def test_targets_that_differ_from_the_inputs_break_the_bound():
    # Exclusive or: no linear function of X comes close, and one nonlinear hidden unit is exact.
    X = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    Y = np.array([[0.0], [1], [1], [0]])
    Z = np.abs(X[:, :1] - X[:, 1:])
    assert least(Y, X) > 0.5
    assert least(Y, Z) == pytest.approx(0)
    assert least(X, Z) >= tail(X, 1)
