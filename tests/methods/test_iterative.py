"""ADMM and the zero-diagonal model against their updates written out, and what happens when they diverge."""

import time
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from conftest import problems
from hypothesis import assume, given
from hypothesis import strategies as st
from reference import admm, eq7, penalty, squared_error, zero_diagonal

from edlae_sweeps.errors import ConfigError, SolverError
from edlae_sweeps.methods import Admm, AdmmPublished, LowRank, ZeroDiag
from edlae_sweeps.methods.base import TrainingFit
from edlae_sweeps.methods.iteration import run_epochs

EPOCHS = 4


def iterates(method, G: np.ndarray, k: int) -> list[tuple]:
    state = method.factorise(G, method.penalty(G), k)
    return list(islice(method.iterates(state, k), EPOCHS))


def tall(problem) -> tuple[np.ndarray, float, float]:
    """More users than items, so that G has the rank that the published updates need."""
    X, l2, dropout = problem
    X = np.vstack([X, np.eye(X.shape[1]), X[:1]])
    return X, l2, dropout


@given(problems(), st.integers(1, 9), st.floats(1, 100), st.sampled_from([Admm, AdmmPublished]))
def test_admm_is_the_published_updates(problem, k, omega, variant):
    X, l2, dropout = tall(problem)
    k = min(k, X.shape[1])
    Lam = penalty(X, l2, dropout)
    method = variant(l2, dropout, EPOCHS, 0.0, 1, omega)
    start = 1e-4 * method.start(X.shape[1], k, np.float64)
    # A basis that is nearly dependent amplifies rounding in the reference.
    assume(np.linalg.cond(start) < 100)
    expected = admm(X, Lam, omega, start, EPOCHS)
    for (U, V, fit), W in zip(iterates(method, X.T @ X, k), expected, strict=True):
        np.testing.assert_allclose(U @ V.T, W, atol=1e-8 * max(1, np.abs(W).max()))
        np.testing.assert_allclose(fit.objective, eq7(X, W, Lam), rtol=1e-7)
        np.testing.assert_allclose(fit.squared_error, squared_error(X, W), rtol=1e-7, atol=1e-7)


@given(problems(max_items=6), st.integers(2, 6))
def test_zero_diagonal_is_the_best_of_each_factor_in_turn(problem, k):
    X, l2, dropout = tall(problem)
    k = min(k, X.shape[1])
    assume(k >= 2)
    Lam = penalty(X, l2, dropout)
    method = ZeroDiag(l2, dropout, EPOCHS, 0.0, 1)
    expected = zero_diagonal(X, Lam, method.start(X.shape[1], k, np.float64), EPOCHS)
    before = np.inf
    for (U, V, fit), W in zip(iterates(method, X.T @ X, k), expected, strict=True):
        np.testing.assert_allclose((U @ V.T).diagonal(), 0, atol=1e-12 * max(1, np.abs(W).max()))
        np.testing.assert_allclose(fit.objective, eq7(X, W, Lam), rtol=1e-7)
        # Each factor at its best: the objective can only fall.
        assert fit.objective <= before * (1 + 1e-9)
        before = fit.objective


class Counted(np.ndarray):
    """A 9×9 matrix that counts its products with other matrices; what is computed from it is one too."""

    products = 0

    def __matmul__(self, other: np.ndarray) -> np.ndarray:
        Counted.products += self.shape == (9, 9) and other.ndim == 2
        return np.asarray(self) @ np.asarray(other)


def test_an_epoch_of_admm_is_three_products():
    X = (np.random.default_rng(0).random((30, 9)) < 0.4).astype(float)
    method = Admm(2.0, 0.1, 1, 0.0, 0, 10.0)
    state = method.factorise(X.T @ X, method.penalty(X.T @ X), 2)
    full = replace(state.full, B=state.full.B.view(Counted))
    epochs = method.iterates(replace(state, gram=state.gram.view(Counted), full=full), 2)
    next(epochs)
    Counted.products = 0
    for expected in (3, 6, 9):
        next(epochs)
        assert Counted.products == expected


def test_items_never_seen_do_no_harm():
    X = np.hstack([(np.random.default_rng(0).random((30, 8)) < 0.4).astype(float), np.zeros((30, 2))])
    for dtype in (np.float32, np.float64):
        G = (X.T @ X).astype(dtype)
        for method in (ZeroDiag(2.0, 0.0, 6, 0.0, 0), Admm(2.0, 0.1, 6, 0.0, 0, 10.0)):
            model = method.at_rank(method.factorise(G, method.penalty(G), 3), 3)
            W = model.U @ model.V.T
            assert np.isfinite(W).all()
            np.testing.assert_allclose(W[:, 8:], 0, atol=1e-5)


def test_rank_1_with_a_zero_diagonal_is_refused():
    method = ZeroDiag(2.0, 0.0, 6, 0.0, 0)
    with pytest.raises(ConfigError, match=r"rank=1: .*choose 2 or more"):
        method.check_rank(1)
    G = np.eye(3)
    with pytest.raises(ConfigError, match="rank=1"):
        method.at_rank(method.factorise(G, method.penalty(G), 1), 1)


def run(*objectives: float | Exception, tolerance: float = 0.0, epochs: int = 10) -> tuple[LowRank, list]:
    def iterate():
        for number, objective in enumerate(objectives, 1):
            if isinstance(objective, Exception):
                raise objective
            yield np.full((2, 1), number), np.ones((2, 1)), TrainingFit(squared_error=1.0, objective=objective)

    calls: list[tuple[int, int]] = []
    model = run_epochs("admm", iterate(), min(epochs, len(objectives)), tolerance, lambda *call: calls.append(call))
    return model, calls


@pytest.mark.parametrize(
    ("objectives", "kept", "ended", "recorded"),
    [
        ([5, 4, 3], 3, "epochs", 3),
        ([5, 3, 4, 4.4, 4.2], 2, "epochs", 5),
        ([5, 3, 4, 4.6, 3], 2, "diverged", 4),
        ([5, 3, float("nan"), 2], 2, "diverged", 2),
        ([5, 3, float("inf"), 2], 2, "diverged", 2),
        ([5, 3, SolverError("no"), 2], 2, "diverged", 2),
        ([5, 3, 3, 2], 2, "converged", 3),
    ],
)
def test_the_best_iterate_is_kept_and_its_end_is_told(objectives, kept, ended, recorded, caplog):
    model, calls = run(*objectives)
    assert (model.history.kept, model.history.ended) == (kept, ended)
    assert model.U[0, 0] == kept
    assert [fit.objective for fit in model.history.fits] == objectives[:recorded]
    assert len(model.history.seconds) == recorded
    assert calls == [(epoch, len(objectives)) for epoch in range(1, recorded + 1)]
    assert ("diverged in epoch" in caplog.text) == (ended == "diverged")


def test_every_iterate_is_shown_and_the_time_of_looking_does_not_count():
    seen: list[LowRank] = []

    def look(iterate: LowRank) -> None:
        time.sleep(0.5)
        seen.append(iterate)

    X = (np.random.default_rng(0).random((30, 9)) < 0.4).astype(float)
    method = Admm(2.0, 0.1, 4, 0.0, 0, 10.0)
    state = method.factorise(X.T @ X, method.penalty(X.T @ X), 2)
    model = method.at_rank(state, 2, None, look)
    assert len(seen) == 4
    assert np.array_equal(seen[model.history.kept - 1].U, model.U)
    assert model.history.seconds[-1] < 1.5


def test_tolerance_is_relative():
    assert run(5000, 4000, 3999, 3000, tolerance=1e-3)[0].history.ended == "converged"
    assert run(5000, 4000, 3999, 3000, tolerance=1e-4)[0].history.ended == "epochs"


def test_nothing_to_keep_is_an_error():
    with pytest.raises(SolverError, match=r"first epoch.*raise method\.l2"):
        run(float("nan"), 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"omega": 0}, "method.omega=0"), ({"omega": float("nan")}, "method.omega=nan"),
        ({"epochs": 0}, "method.epochs=0"), ({"tolerance": 1}, "method.tolerance=1"),
        ({"tolerance": -1}, "method.tolerance=-1"), ({"seed": -1}, "method.seed=-1"),
        ({"l2": -1}, "method.l2=-1"),
    ],
)  # fmt: skip
def test_settings_outside_their_range_are_refused(changes, message):
    settings = {"l2": 1.0, "dropout": 0.1, "epochs": 1, "tolerance": 0.0, "seed": 0, "omega": 1.0, **changes}
    with pytest.raises(ConfigError, match=message):
        Admm(**settings).check()


@pytest.mark.parametrize(("rank", "omega", "epochs", "kept"), [(100, 100.0, 10, 7), (500, 10.0, 20, 8)])
def test_settings_that_diverge_on_debian_leave_their_best_iterate(rank, omega, epochs, kept, debian_gram):
    method = Admm(10.0, 0.1, epochs, 0.0, 0, omega)
    state = method.factorise(debian_gram, method.penalty(debian_gram), rank)
    model = method.at_rank(state, rank)
    assert model.history.ended == "diverged"
    assert model.history.kept == pytest.approx(kept, abs=1)
    assert np.isfinite(model.U).all()
    assert np.isfinite(model.V).all()
