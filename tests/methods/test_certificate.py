"""The lower bound of Eq. 7: never above any value that is reached, and equal to the optimum where that is known."""

from functools import partial

import numpy as np
import pytest
from cases import topics, training
from scipy.optimize import minimize

from edlae_sweeps.linalg import Factor
from edlae_sweeps.methods import Admm, Closed, ZeroDiag
from edlae_sweeps.methods.closed.certificate import Planes, Tangent, lower_bounds
from edlae_sweeps.methods.closed.polish import Factors, best_decoder, descend, objective
from edlae_sweeps.methods.shared import penalty


def small_problem(seed: int):
    """Data with 2 to 8 items, λ, p and a rank below the number of items; some items are rare or never seen."""
    random = np.random.default_rng(seed)
    users, items = random.integers(2, 25), random.integers(2, 9)
    X = (random.random((users, items)) < random.random(items) * random.uniform(0.3, 1)).astype(float)
    l2, dropout = 10 ** random.uniform(-1.5, 1.5), random.choice([0.0, random.uniform(0, 0.7)])
    return X, l2, dropout, int(random.integers(1, items)), random


def reference_objective(X, l2, dropout, W):
    """Eq. 7 by its definition."""
    G = X.T @ X
    off = W - np.diag(np.diag(W))
    weights = l2 + dropout / (1 - dropout) * np.diag(G)
    return ((X - X @ off) ** 2).sum() + (weights[:, None] * off**2).sum()


def numeric_minimum(X, l2, dropout, weights, start):
    """The least Eq. 7 that SciPy finds from `start` by numeric derivatives; `weights` makes W of the variables."""
    return minimize(lambda v: reference_objective(X, l2, dropout, weights(v)), start, tol=1e-9).fun


@pytest.mark.slow
def test_no_value_is_below_the_bound_on_1000_small_problems():
    exact = 0
    for seed in range(1000):
        X, l2, dropout, k, random = small_problem(seed)
        data = training(X)
        weights = penalty(data.item_counts, l2, dropout)
        bound = lower_bounds(data.gram, weights, [k])[k]
        method = Closed(l2=l2, dropout=dropout)
        model = method.fit(data, k)
        n = X.shape[1]
        values = [reference_objective(X, l2, dropout, model.U @ model.V.T)]
        for start in (model.U, model.V, random.standard_normal((n, k))):
            better = best_decoder(data.gram, weights, Factors(start, start))
            values.append(reference_objective(X, l2, dropout, better.U @ better.V.T))
        if seed % 20 == 0:
            for start in (Factors(model.U, model.V), Factors(*random.standard_normal((2, n, k)))):
                lower, _ = descend(data.gram, weights, start, 200)
                values.append(reference_objective(X, l2, dropout, lower.U @ lower.V.T))
        assert bound <= min(values) * (1 + 1e-9) + 1e-9, seed
        # No model of any rank is better than the full-rank EDLAE.
        full = np.linalg.inv(data.gram + np.diag(weights))
        assert bound >= (1 / np.diag(full) - weights).sum() * (1 - 1e-9) - 1e-9
        exact += bound > 0.999 * min(values)
    # It is close to what is reached for many of them: a bound of zero would pass the rest of this test.
    assert exact > 300


@pytest.mark.parametrize("method", [Closed, Admm, ZeroDiag])
def test_bounds_of_larger_problems_in_both_types(method):
    X = topics(300, 60)
    fitted = method(l2=3, dropout=0.2)
    by_type = {}
    for dtype in ("float32", "float64"):
        data = training(X, dtype)
        weights = fitted.penalty(data.item_counts)
        bounds = by_type[dtype] = lower_bounds(data.gram, weights, [2, 5, 20])
        assert list(bounds) == [2, 5, 20]
        # A larger rank has a smaller optimum.
        assert bounds[2] > bounds[5] > bounds[20]
        for rank, bound in bounds.items():
            value = fitted.fit(data, rank).training_metrics(data.gram, weights)["objective"]
            # Far closer than the bound that every rank has.
            assert 0 < value - bound < 0.5 * value
    np.testing.assert_allclose(list(by_type["float32"].values()), list(by_type["float64"].values()), rtol=5e-3)


def test_rank_zero_of_the_convex_problem_is_exact():
    # With X = 0 nothing is captured, and W = 0 costs tr G.
    data = training(topics(50, 12))
    weights = penalty(data.item_counts, 2.0, 0.3)
    planes = Planes.of(data.gram, weights, np.float64)
    zero = np.zeros(12)
    total = (planes.D - weights).sum() + planes.cost(zero, zero)
    np.testing.assert_allclose(total, np.trace(data.gram))


def test_cost_of_any_range_is_at_least_the_convex_cost():
    """Step 1 against least squares in each column, step 2 as an inequality."""
    data = training(topics(40, 9))
    l2, dropout = 1.5, 0.25
    weights = penalty(data.item_counts, l2, dropout)
    planes = Planes.of(data.gram, weights, np.float64)
    L, n = planes.factor.L, 9
    random = np.random.default_rng(0)
    for k in (1, 3, 6):
        Q = np.linalg.qr(random.standard_normal((n, k)))[0]
        # W = L⁻ᵀQZ: the best Z of each column, where the diagonal of W is left out.
        ranges = np.linalg.solve(L.T, Q)
        least = 0.0
        for j in range(n):
            off = ranges.copy()
            off[j] = 0
            target = np.eye(n)[j]
            A = data.gram
            normal = off.T @ (A + np.diag(weights)) @ off
            right = off.T @ A @ target
            least += A[j, j] - right @ np.linalg.pinv(normal) @ right
        x, y = planes.captured(Q)
        convex = planes.cost(x, y)
        exact = least - (planes.D - weights).sum()
        assert 0 < convex <= exact * (1 + 1e-9)


def test_tangents_touch_the_cost_and_stay_below():
    data = training(topics(40, 9))
    planes = Planes.of(data.gram, penalty(data.item_counts, 1.0, 0.2), np.float64)
    random = np.random.default_rng(1)

    def at(tangent: Tangent, x, y):
        return (tangent.of_b * (1 - y) - tangent.of_u * x).sum()

    for _ in range(50):
        (x, y), (u, v) = random.random((2, 2, 9))
        tangent = planes.tangent(x, y)
        np.testing.assert_allclose(at(tangent, x, y), planes.cost(x, y), atol=1e-12)
        assert at(tangent, u, v) <= planes.cost(u, v) + 1e-9
        other = planes.tangent(u, v).towards(tangent, 0.3)
        assert at(other, x, y) <= planes.cost(x, y) + 1e-9


def test_eigenpairs_by_products_and_by_an_array_agree():
    data = training(topics(400, 250))
    planes = Planes.of(data.gram, penalty(data.item_counts, 5.0, 0.2), np.float64)
    half = np.full(250, 0.3)
    tangent = planes.tangent(half, half)
    expected = np.linalg.eigvalsh(planes._sum(tangent))[::-1]
    by_products = planes.eigenpairs(tangent, 4)
    assert by_products.steps > 0
    np.testing.assert_allclose(by_products.values, expected[:4], rtol=1e-3)
    np.testing.assert_allclose(planes.bound(tangent, 4), tangent.of_b.sum() - expected[:4].sum())


def test_factor():
    random = np.random.default_rng(0)
    G = random.standard_normal((30, 30))
    G = G @ G.T
    weights = random.random(30) + 1
    A = G + np.diag(weights)
    before = G.copy()
    factor = Factor(G, weights, np.float64)
    assert np.array_equal(G, before)
    Y = random.standard_normal((30, 4))
    np.testing.assert_allclose(factor.product(factor.transposed_product(Y)), A @ Y)
    np.testing.assert_allclose(factor.transposed_solve(factor.solve(Y)), np.linalg.solve(A, Y))
    np.testing.assert_allclose(factor.inverse_diagonal(), np.diag(np.linalg.inv(A)))


def _decoded(U, v):
    """W = UVᵀ with the entries v of V."""
    return U @ v.reshape(U.shape).T


def test_best_decoder_is_the_minimum_over_decoders():
    for seed in range(20):
        X, l2, dropout, k, random = small_problem(seed)
        data = training(X)
        weights, n = penalty(data.item_counts, l2, dropout), X.shape[1]
        U, V = random.standard_normal((2, n, k))
        better = best_decoder(data.gram, weights, Factors(U, V))
        assert np.array_equal(better.U, U)
        value = reference_objective(X, l2, dropout, U @ better.V.T)
        np.testing.assert_allclose(objective(data.gram, weights, better), value, rtol=1e-9, atol=1e-9)
        numeric = numeric_minimum(X, l2, dropout, partial(_decoded, U), V.ravel())
        assert value <= numeric * (1 + 1e-6) + 1e-9


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("beta", ["zero", "iterate"])
def test_polish_lowers_the_objective_in_the_order_of_its_effort(dtype, beta):
    data = training(topics(300, 60), dtype)
    values = {}
    for polish in ("none", "v_step", "lbfgs"):
        method = Closed(l2=3, dropout=0.2, beta=beta, polish=polish)
        state = method.prepare(data, 10)
        for rank in (3, 10):
            model = method.fit(state, rank)
            values[polish, rank] = state.training_metrics(model)["objective"]
            if polish != "none":
                metrics = model.record.metrics()
                np.testing.assert_allclose(metrics["eq7/closed_form"], values["none", rank], rtol=1e-5)
                np.testing.assert_allclose(metrics["eq7/polished"], values[polish, rank], rtol=1e-5)
                assert (metrics["polish/iterations"] > 0) == (polish == "lbfgs")
            assert model.U.dtype == model.V.dtype == dtype
    for rank in (3, 10):
        assert values["lbfgs", rank] < values["v_step", rank] < values["none", rank]


def test_descent_comes_as_low_as_numeric_derivatives_do():
    X, l2, dropout, k, random = small_problem(7)
    data, n = training(X), X.shape[1]
    start = Factors(*random.standard_normal((2, n, k)))
    lower, done = descend(data.gram, penalty(data.item_counts, l2, dropout), start, 500)

    def weights(both):
        U, V = both.reshape(2, n, k)
        return U @ V.T

    numeric = numeric_minimum(X, l2, dropout, weights, np.concatenate([part.ravel() for part in start]))
    assert done > 1
    assert reference_objective(X, l2, dropout, lower.U @ lower.V.T) <= 1.02 * numeric
