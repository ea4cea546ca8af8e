"""The algebra of the closed-form family against explicit products, on small random matrices in float64."""

import numpy as np
from cases import CHOOSE, PLENTY, training
from conftest import problems
from hypothesis import given
from hypothesis import strategies as st
from reference import algorithm_1, edlae, penalty

from edlae_sweeps.methods import Closed
from edlae_sweeps.methods.closed.inverse import apply_inverse, solve_full_rank
from edlae_sweeps.methods.closed.low_rank import metric


def close(a: np.ndarray, b: np.ndarray, tolerance: float = 1e-8) -> None:
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * max(1, np.abs(b).max(initial=0)))


@given(problems(), st.sampled_from(sorted(CHOOSE)))
def test_metric_is_the_product_for_every_member(problem, member):
    X, l2, dropout = problem
    G = X.T @ X
    Lam = penalty(X, l2, dropout)
    full = solve_full_rank(G, Lam.diagonal(), CHOOSE[member])
    A, B = G + Lam, full.B
    close(A @ B, A - np.diag(full.d))
    close(metric(G, Lam.diagonal(), full, np.zeros(len(G))), B.T @ A @ B)
    beta = np.random.default_rng(0).random(len(G))
    close(metric(G, Lam.diagonal(), full, beta), (B + np.diag(beta)).T @ A @ (B + np.diag(beta)))
    assert np.array_equal(G, X.T @ X)


@given(problems())
def test_inverse_from_the_full_rank_model(problem):
    X, l2, dropout = problem
    Lam = penalty(X, l2, dropout)
    full = solve_full_rank(X.T @ X, Lam.diagonal())
    Y = np.random.default_rng(0).standard_normal((X.shape[1], 2))
    close(apply_inverse(full, Y), np.linalg.solve(X.T @ X + Lam, Y))


@given(problems())
def test_full_rank_is_a_regression_of_each_item_on_the_others(problem):
    X, l2, dropout = problem
    method = Closed(l2=l2, dropout=dropout)
    state = method.prepare(training(X), 0, PLENTY)
    close(state.penalty, penalty(X, l2, dropout).diagonal())
    model = method.fit(state, "full")
    close(model.B, edlae(X, penalty(X, l2, dropout)))
    np.testing.assert_allclose(model.B.diagonal(), 0, atol=1e-15)


@given(problems(), st.data())
def test_low_rank_is_algorithm_1(problem, data):
    X, l2, dropout = problem
    k = data.draw(st.integers(1, X.shape[1]))
    Lam, G = penalty(X, l2, dropout), X.T @ X
    model = Closed(l2=l2, dropout=dropout).fit(training(X), k, resources=PLENTY)
    U, V = algorithm_1(X, Lam, k)
    # The basis is free, and so is the subspace if eigenvalues tie. The energy in the metric of A is optimal.
    A, B = G + Lam, edlae(X, Lam)
    close(model.V.T @ model.V, np.eye(k))
    close(model.U, B @ model.V)
    close(np.trace(model.U.T @ A @ model.U), np.trace(U.T @ A @ U))
    np.testing.assert_allclose(np.trace(V.T @ V), k)


@given(problems(), st.data())
def test_ranks_are_nested_and_rank_n_is_the_full_model(problem, data):
    X, l2, dropout = problem
    n = X.shape[1]
    method, G = Closed(l2=l2, dropout=dropout), X.T @ X
    k = data.draw(st.integers(1, n))
    alone = method.fit(training(X), k, resources=PLENTY)
    state = method.prepare(training(X), n, PLENTY)
    nested, whole, full = (method.fit(state, rank) for rank in (k, n, "full"))
    A = G + np.diag(state.penalty)
    energies = np.linalg.eigvalsh(metric(G, state.penalty, full, np.zeros(n)))[::-1]
    # If eigenvalues tie at the cut, the subspace is free, but not its energy.
    if k == n or energies[k - 1] - energies[k] > 1e-6 * energies[0]:
        close(nested.U @ nested.V.T, alone.U @ alone.V.T)
    close(np.trace(nested.U.T @ A @ nested.U), energies[:k].sum())
    close(np.trace(alone.U.T @ A @ alone.U), energies[:k].sum())
    # The diagonal included.
    close(whole.U @ whole.V.T, full.B)


@given(problems(), st.data())
def test_eq_11_the_objective_splits_into_the_full_fit_and_the_approximation(problem, data):
    X, l2, dropout = problem
    n = X.shape[1]
    k = data.draw(st.integers(1, n))
    Lam, G = penalty(X, l2, dropout), X.T @ X
    method = Closed(l2=l2, dropout=dropout)
    state = method.prepare(training(X), k, PLENTY)
    model, full = method.fit(state, k), method.fit(state, "full")
    B = full.B
    W = model.U @ model.V.T
    off = W - np.diag(W.diagonal())
    Y, Z = np.vstack([X, np.zeros((n, n))]), np.vstack([X, np.sqrt(Lam)])
    left = np.sum((Y - Z @ off) ** 2)
    right = np.sum((Y - Z @ B) ** 2) + np.sum((Z @ (B - off)) ** 2)
    np.testing.assert_allclose(left, right, rtol=1e-9)
    np.testing.assert_allclose(model.training_metrics(G, Lam.diagonal())["objective"], left, rtol=1e-8)
    # The first term is the objective of the full-rank solution.
    np.testing.assert_allclose(np.sum((Y - Z @ B) ** 2), np.sum(full.d - Lam.diagonal()), rtol=1e-8)


@given(problems(), st.data())
def test_models_follow_a_permutation_of_the_items(problem, data):
    X, l2, dropout = problem
    n = X.shape[1]
    order = np.array(data.draw(st.permutations(range(n))))
    method = Closed(l2=l2, dropout=dropout)
    k = data.draw(st.integers(1, n))

    def models(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        state = method.prepare(training(matrix), k, PLENTY)
        low, full = method.fit(state, k), method.fit(state, "full")
        M = metric(matrix.T @ matrix, state.penalty, full, np.zeros(n))
        return full.B, low.U @ low.V.T, np.linalg.eigvalsh(M)[::-1]

    (full, low, energies), (full_permuted, low_permuted, _) = models(X), models(X[:, order])
    close(full_permuted, full[np.ix_(order, order)])
    if k == n or energies[k - 1] - energies[k] > 1e-6 * energies[0]:
        close(low_permuted, low[np.ix_(order, order)])
