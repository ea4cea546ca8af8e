"""How near the ways to low-rank EDLAE come to each other on debian (λ = 10, p = .1), as it was measured."""

import numpy as np
import pytest
from conftest import closed, problems
from hypothesis import given
from hypothesis import strategies as st
from lbfgs import eq7_with_gradient, local_optimum
from reference import eq7, penalty

from edlae_sweeps.evaluation import diagonal
from edlae_sweeps.methods import Admm, Beta, LowRank, training_fit


@given(problems(), st.integers(1, 5), st.integers(0, 2**31))
def test_the_gradient_of_the_objective(problem, k, seed):
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


@pytest.mark.slow
def test_objectives_relative_to_the_closed_form(debian_gram):
    G = debian_gram
    Lam = closed(10.0, 0.1).penalty(G)

    def model(method, k: int = 10) -> LowRank:
        return method.at_rank(method.factorise(G, Lam, k), k)

    zero = model(closed(10.0, 0.1))
    base = training_fit(G, Lam, zero).objective

    def percent(other: LowRank) -> float:
        return 100 * (training_fit(G, Lam, other).objective / base - 1)

    assert percent(model(closed(10.0, 0.1, Beta.column_max))) == pytest.approx(1.36, abs=0.1)
    assert percent(model(closed(10.0, 0.1, Beta.iterate, 1))) == pytest.approx(-0.46, abs=0.1)
    admm = model(Admm(10.0, 0.1, 40, 1e-5, 0, 10.0))
    assert percent(admm) == pytest.approx(-0.48, abs=0.1)
    assert np.corrcoef(diagonal(admm), diagonal(zero))[0, 1] == pytest.approx(0.83, abs=0.05)
    U, V = local_optimum(G, Lam, zero.U, zero.V, 300)
    assert percent(LowRank(U.astype(G.dtype), V.astype(G.dtype))) == pytest.approx(-1.33, abs=0.15)
