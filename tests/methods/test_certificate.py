"""The lower bound of Eq. 7: never above any value that is reached, and equal to the optimum where that is known."""

import tracemalloc
from functools import partial

import numpy as np
import pytest
from cases import topics, training
from reference import algorithm_1, eq7
from reference import penalty as reference_penalty
from scipy.optimize import minimize

from edlae_sweeps.linalg import Factor, add_outer
from edlae_sweeps.methods import Admm, Closed, ZeroDiag
from edlae_sweeps.methods.closed.certificate import certificate_bytes, lower_bounds
from edlae_sweeps.methods.closed.planes import Planes
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
    return eq7(X, W, reference_penalty(X, l2, dropout))


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
        n = X.shape[1]
        U, V = algorithm_1(X, np.diag(weights), k)
        values = [reference_objective(X, l2, dropout, U @ V.T)]
        for start in (U, V, random.standard_normal((n, k))):
            better = best_decoder(data.gram, weights, Factors(start, start))
            values.append(reference_objective(X, l2, dropout, better.U @ better.V.T))
        if seed % 20 == 0:
            for start in (Factors(U, V), Factors(*random.standard_normal((2, n, k)))):
                lower, _ = descend(data.gram, weights, start, 200)
                values.append(reference_objective(X, l2, dropout, lower.U @ lower.V.T))
        assert bound <= min(values) * (1 + 1e-9) + 1e-9, seed
        # No model of any rank is better than the full-rank EDLAE.
        full = np.linalg.inv(data.gram + np.diag(weights))
        assert bound >= (1 / np.diag(full) - weights).sum() * (1 - 1e-9) - 1e-9
        exact += bound > 0.999 * min(values)
    # It is close to what is reached for many of them: a bound of zero would pass the rest of this test.
    assert exact > 300


def test_weights_of_a_search_in_float32_give_a_bound_too():
    # λ is so small that diag C is wrong by a third in float32.
    G = np.array([[628.0, 265, 369, 369], [265, 267, 8, 8], [369, 8, 371, 371], [369, 8, 371, 371]])
    weights, random = np.full(4, 1.73e-4), np.random.default_rng(0)
    values = []
    for _ in range(10):
        start = best_decoder(G, weights, Factors(*random.standard_normal((2, 4, 1))))
        lower, _ = descend(G, weights, start, 300)
        values.append(objective(G, weights, best_decoder(G, weights, lower)))
    for dtype in ("float32", "float64"):
        bound = lower_bounds(G.astype(dtype), weights, [1])[1]
        assert 0.99 * min(values) < bound <= min(values) * (1 + 1e-9)


@pytest.mark.parametrize(("l2", "dropout"), [(1e-6, 0.0), (1e3, 0.0), (0.1, 1 - 1e-6)])
def test_extreme_penalties_with_items_twice_and_in_all_baskets_and_never(l2, dropout):
    random = np.random.default_rng(3)
    X = (random.random((30, 8)) < 0.3).astype(float)
    X[:, 4:6], X[:, 6], X[:, 7] = X[:, :2], 1, 0
    G, n = X.T @ X, X.shape[1]
    weights = penalty(np.diag(G), l2, dropout)
    full = float((1 / np.diag(np.linalg.inv(G + np.diag(weights))) - weights).sum())
    bounds = lower_bounds(G, weights, [1, 2, n - 1, n])
    for k, bound in bounds.items():
        start = best_decoder(G, weights, Factors(*random.standard_normal((2, n, k))))
        lower, _ = descend(G, weights, start, 300)
        value = reference_objective(X, l2, dropout, lower.U @ lower.V.T)
        assert full * (1 - 1e-6) <= bound <= value * (1 + 1e-6)
    # All columns of the full-rank model fit into n dimensions.
    assert bounds[n] == pytest.approx(full)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("k", [5, 60, 390])
def test_memory_is_as_estimated(dtype, k):
    data = training(topics(600, 400), dtype)
    gram, weights = data.gram, penalty(data.item_counts, 5.0, 0.2)
    lower_bounds(gram, weights, [1])
    tracemalloc.start()
    try:
        lower_bounds(gram, weights, [k])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 0.6 < peak / certificate_bytes(400, k, gram.itemsize) < 1.1


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


def test_every_weight_is_a_bound_on_the_cost_and_the_slope_touches_it():
    data = training(topics(40, 9))
    planes = Planes.of(data.gram, penalty(data.item_counts, 1.0, 0.2), np.float64)
    random = np.random.default_rng(1)

    def linear(t, x, y):
        return (planes.offset(t) * (1 - y) - t * x).sum()

    for _ in range(50):
        (x, y), (u, v) = random.random((2, 2, 9))
        t = planes.slope(x, y)
        np.testing.assert_allclose(linear(t, x, y), planes.cost(x, y), atol=1e-12)
        for weight in (t, 3 * t, random.exponential(size=9) * planes.worth):
            assert linear(weight, u, v) <= planes.cost(u, v) + 1e-9
    # As large as it may be: a minimum over a fine grid is no smaller, and hardly larger.
    mu = np.linspace(0, 1, 10_001)[:, None]
    grid = (planes.worth * (1 - mu) / (1 + planes.r * mu) + t * mu).min(axis=0)
    assert np.all(planes.offset(t) <= grid * (1 + 1e-12))
    np.testing.assert_allclose(planes.offset(t), grid, rtol=1e-6)


def test_eigenpairs_by_products_and_by_an_array_agree():
    data = training(topics(400, 250))
    planes = Planes.of(data.gram, penalty(data.item_counts, 5.0, 0.2), np.float64)
    half = np.full(250, 0.3)
    t = planes.slope(half, half)
    expected = np.linalg.eigvalsh(planes._sum(t), UPLO="U")[::-1]
    by_products = planes.eigenpairs(t, 4)
    assert by_products.steps > 0
    np.testing.assert_allclose(by_products.values, expected[:4], rtol=1e-3)
    np.testing.assert_allclose(planes.bound(t, 4), planes.offset(t).sum() - expected[:4].sum())


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


def test_outer_products_are_added_in_place():
    random = np.random.default_rng(0)
    T, more = (np.asfortranarray(random.standard_normal((20, b))) for b in (20, 7))
    total = add_outer(T)
    both = add_outer(more, total)
    assert np.shares_memory(both, total)
    assert both.flags.c_contiguous
    np.testing.assert_allclose(np.triu(both), np.triu(T @ T.T + more @ more.T))


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


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("polish", ["v_step", "lbfgs"])
def test_polish_of_ranks_up_to_the_number_of_items(dtype, polish):
    """Then V is 0/0, where rounding must not pass for a gain."""
    for seed in range(5):
        X = (np.random.default_rng(seed).random((9, 8)) < 0.4).astype(float)
        data = training(X, dtype)
        for k in (6, 7, 8):
            model = Closed(l2=1, dropout=0.1, polish=polish).fit(data, k)
            metrics = model.record.metrics()
            value = reference_objective(X, 1, 0.1, model.U.astype(float) @ model.V.T.astype(float))
            bound = lower_bounds(data.gram, penalty(data.item_counts, 1, 0.1), [k])[k]
            assert bound * (1 - 1e-4) <= value <= metrics["eq7/closed_form"] * (1 + 1e-4)
            assert metrics["eq7/polished"] == pytest.approx(value, rel=1e-3)
