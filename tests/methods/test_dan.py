"""DAN against its definition on the normalised matrix, with every product, in float64."""

from dataclasses import replace

import numpy as np
import pytest
from cases import PLENTY, SHAPES, training
from conftest import problems
from hypothesis import given
from hypothesis import strategies as st
from reference import dan, eq7, penalty, squared_error

from edlae_sweeps.errors import ConfigError
from edlae_sweeps.methods import Closed, Dan, Relaxed, Unconstrained

MEMBERS = {
    "edlae": lambda diag_C, _: 1 / diag_C,
    "ridge": lambda _, Lam: Lam,
    "relaxed": lambda diag_C, Lam: np.maximum(Lam, 0.7 / diag_C),
}
EXPONENTS = st.sampled_from([0, 0.2, 0.5, 1])


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, Dan]:
    """X without empty users, and DAN with any options."""
    X, l2, dropout = draw(problems())
    X[X.sum(axis=1) == 0, 0] = 1
    member, cut = draw(st.sampled_from(sorted(MEMBERS))), draw(st.sampled_from(["B", "W"]))
    alpha, beta = draw(EXPONENTS), draw(EXPONENTS)
    return X, Dan(l2=l2, dropout=dropout, member=member, xi=0.3, cut=cut, alpha=alpha, beta=beta)


@given(cases())
def test_full_rank_is_the_definition(case):
    X, method = case
    Lam = penalty(X, method.l2, method.dropout)
    state = method.prepare(training(X), 0, PLENTY)
    model = method.fit(state, "full")
    W, _ = dan(X, Lam, MEMBERS[method.member], method.alpha, method.beta)
    np.testing.assert_allclose(model.B, W, atol=1e-8)
    assert not model.B.diagonal().any()
    metrics, scale = state.training_metrics(model), 1e-8 * X.sum()
    assert metrics["squared_error"] == pytest.approx(squared_error(X, W), abs=scale)
    assert metrics["objective"] == pytest.approx(eq7(X, W, Lam), abs=scale)


@given(cases(), st.data())
def test_both_cuts_are_the_definition(case, data):
    X, method = case
    k = data.draw(st.integers(1, X.shape[1]))
    Lam = penalty(X, method.l2, method.dropout)
    state = method.prepare(training(X), k, PLENTY)
    model = method.fit(state, k)
    W, energies = dan(X, Lam, MEMBERS[method.member], method.alpha, method.beta, method.cut, k)
    # If eigenvalues tie at the cut, the subspace is free.
    if k == X.shape[1] or energies[k - 1] - energies[k] > 1e-6 * energies[0]:
        np.testing.assert_allclose(model.U @ model.V.T, W, atol=1e-8 * max(1, np.abs(W).max()))
    objective = eq7(X, model.U @ model.V.T, Lam)
    assert state.training_metrics(model)["objective"] == pytest.approx(objective, abs=1e-8 * X.sum())
    # The full rank is the same whether low ranks were asked for or not.
    alone = method.fit(training(X), "full", resources=PLENTY)
    np.testing.assert_allclose(method.fit(state, "full").B, alone.B, atol=1e-8)


@given(cases(), EXPONENTS)
def test_a_state_serves_every_alpha(case, alpha):
    X, method = case
    method = replace(method, cut="B")
    state, other = method.prepare(training(X), 2, PLENTY), replace(method, alpha=alpha)
    for rank, model in other.fit_ranks(training(X), [1, 2, "full"], resources=PLENTY).items():
        shared = other.fit(state, rank).arrays()
        assert all(np.array_equal(array, shared[name], equal_nan=True) for name, array in model.arrays().items())


def test_with_cut_w_a_state_refuses_low_ranks_of_another_alpha():
    method, data = Dan(cut="W", alpha=0.2), training(SHAPES["more users than items"])
    state = method.prepare(data, 3, PLENTY)
    for other, message in ((replace(method, alpha=0.3), "alpha=0.3: .* for 0.2"), (replace(method, cut="B"), "cut=B")):
        with pytest.raises(ConfigError, match=rf"method\.{message}.*; prepare it anew"):
            other.fit(state, 3)
    full, fresh = (replace(method, alpha=0.3).fit(source, "full", resources=PLENTY) for source in (state, data))
    np.testing.assert_allclose(full.B, fresh.B, atol=1e-12)


@given(problems(), st.sampled_from(sorted(MEMBERS)), st.sampled_from(["B", "W"]))
def test_without_normalisation_it_is_the_member_itself(problem, member, cut):
    X, l2, dropout = problem
    options = {"l2": l2, "dropout": dropout}
    plain = {"edlae": Closed(**options), "ridge": Unconstrained(**options), "relaxed": Relaxed(**options, xi=0.3)}
    neutral = Dan(**options, member=member, xi=0.3, cut=cut, alpha=0, beta=0)
    models, expected = (each.fit_ranks(training(X), [2, "full"], resources=PLENTY) for each in (neutral, plain[member]))
    np.testing.assert_allclose(models[2].U @ models[2].V.T, expected[2].U @ expected[2].V.T, atol=1e-9)
    off = ~np.eye(X.shape[1], dtype=bool)
    np.testing.assert_allclose(models["full"].B[off], expected["full"].B[off], atol=1e-9)


@pytest.mark.parametrize("cut", ["B", "W"])
@pytest.mark.parametrize("member", MEMBERS)
@pytest.mark.parametrize("alpha", [0, 0.4])
def test_items_without_users_have_weight_zero(member, cut, alpha):
    X = SHAPES["items never seen"]
    n, unseen = X.shape[1], X.sum(axis=0) == 0
    for rank in (3, n, "full"):
        model = Dan(l2=2, dropout=0.1, member=member, cut=cut, alpha=alpha).fit(training(X), rank, resources=PLENTY)
        W = model.B if rank == "full" else model.U @ model.V.T
        np.testing.assert_allclose(W[unseen], 0, atol=1e-12)
        np.testing.assert_allclose(W[:, unseen], 0, atol=1e-12)


@pytest.mark.parametrize("options", [{"xi": 1.1}, {"alpha": -0.1}, {"alpha": 1.1}, {"beta": float("nan")}])
def test_options_outside_their_range_are_refused(options):
    with pytest.raises(ConfigError, match=rf"method\.{next(iter(options))}="):
        Dan(**options)
