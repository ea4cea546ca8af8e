"""ADMM and the zero-diagonal model against their explicit updates, and what happens when they diverge."""

import time
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from cases import PLENTY, training
from conftest import problems
from hypothesis import assume, given
from hypothesis import strategies as st
from reference import admm, eq7, penalty, squared_error, zero_diagonal

from edlae_sweeps.errors import ConfigError, SolverError
from edlae_sweeps.methods import Admm, AdmmPublished, ZeroDiag
from edlae_sweeps.methods.iterative.epochs import Iterate, run_epochs
from edlae_sweeps.models import LowRank, TrainingFit

EPOCHS = 4


def iterates(method, X: np.ndarray, k: int) -> list[Iterate]:
    state = method.prepare(training(X), k, PLENTY)
    with PLENTY.limit_threads():
        return list(islice(method.iterates(state, k), EPOCHS))


def tall(problem) -> tuple[np.ndarray, float, float]:
    """A problem with enough users that G has the rank that the published updates need."""
    X, l2, dropout = problem
    X = np.vstack([X, np.eye(X.shape[1]), X[:1]])
    return X, l2, dropout


@given(problems(), st.integers(1, 9), st.floats(1, 100), st.sampled_from([Admm, AdmmPublished]))
def test_admm_is_the_published_updates(problem, k, omega, variant):
    X, l2, dropout = tall(problem)
    k = min(k, X.shape[1])
    Lam = penalty(X, l2, dropout)
    method = variant(l2=l2, dropout=dropout, epochs=EPOCHS, seed=1, omega=omega)
    start = 1e-4 * method.start(X.shape[1], k, np.float64)
    # A basis that is nearly dependent amplifies rounding in the reference.
    assume(np.linalg.cond(start) < 100)
    expected = admm(X, Lam, omega, start, EPOCHS)
    for (U, V, fit), W in zip(iterates(method, X, k), expected, strict=True):
        np.testing.assert_allclose(U @ V.T, W, atol=1e-8 * max(1, np.abs(W).max()))
        np.testing.assert_allclose(fit.objective, eq7(X, W, Lam), rtol=1e-7)
        np.testing.assert_allclose(fit.squared_error, squared_error(X, W), rtol=1e-7, atol=1e-7)


@given(problems(max_items=6), st.integers(2, 6))
def test_zero_diagonal_is_the_best_of_each_factor_in_turn(problem, k):
    X, l2, dropout = tall(problem)
    k = min(k, X.shape[1])
    assume(k >= 2)
    Lam = penalty(X, l2, dropout)
    method = ZeroDiag(l2=l2, dropout=dropout, epochs=EPOCHS, seed=1)
    expected = zero_diagonal(X, Lam, method.start(X.shape[1], k, np.float64), EPOCHS)
    before = np.inf
    for (U, V, fit), W in zip(iterates(method, X, k), expected, strict=True):
        np.testing.assert_allclose((U @ V.T).diagonal(), 0, atol=1e-12 * max(1, np.abs(W).max()))
        np.testing.assert_allclose(fit.objective, eq7(X, W, Lam), rtol=1e-7)
        # Each step is exact, so the objective can only fall.
        assert fit.objective <= before * (1 + 1e-9)
        before = fit.objective


class Counted(np.ndarray):
    """A 9×9 matrix that counts its products with other matrices; arrays computed from it count too."""

    products = 0

    def __matmul__(self, other: np.ndarray) -> np.ndarray:
        Counted.products += self.shape == (9, 9) and other.ndim == 2
        return np.asarray(self) @ np.asarray(other)


SMALL = (np.random.default_rng(0).random((30, 9)) < 0.4).astype(float)


def test_an_epoch_of_admm_is_three_products():
    method, data = Admm(l2=2, dropout=0.1, epochs=1, omega=10), training(SMALL)
    state = method.prepare(data, 2, PLENTY)
    # In place of the cached property.
    vars(data)["gram"] = data.gram.view(Counted)
    full = replace(state.full, B=state.full.B.view(Counted))
    epochs = method.iterates(replace(state, full=full), 2)
    next(epochs)
    Counted.products = 0
    for expected in (3, 6, 9):
        next(epochs)
        assert Counted.products == expected


def test_items_without_events_get_no_weight():
    X = np.hstack([SMALL[:, :8], np.zeros((30, 2))])
    for dtype in ("float32", "float64"):
        for method in (ZeroDiag(l2=2, epochs=6), Admm(l2=2, dropout=0.1, epochs=6, omega=10)):
            model = method.fit(training(X, dtype), 3, resources=PLENTY)
            W = model.U @ model.V.T
            assert np.isfinite(W).all()
            np.testing.assert_allclose(W[:, 8:], 0, atol=1e-5)


def test_rank_1_with_a_zero_diagonal_is_refused():
    method = ZeroDiag()
    with pytest.raises(ConfigError, match=r"rank=1: .*choose 2 or more"):
        method.check_rank(1)
    state = method.prepare(training(np.eye(3)), 1, PLENTY)
    with pytest.raises(ConfigError, match="rank=1"):
        method.fit(state, 1)


def run(*objectives: float | Exception, tolerance: float = 0.0, epochs: int = 10) -> tuple[LowRank, list]:
    def iterate():
        for number, objective in enumerate(objectives, 1):
            if isinstance(objective, Exception):
                raise objective
            fit = TrainingFit(squared_error=1.0, objective=objective)
            yield Iterate(np.full((2, 1), number), np.ones((2, 1)), fit)

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
def test_the_best_iterate_is_kept_and_the_reason_of_the_end_recorded(objectives, kept, ended, recorded, caplog):
    model, calls = run(*objectives)
    assert (model.record.kept, model.record.ended) == (kept, ended)
    assert model.U[0, 0] == kept
    assert [fit.objective for fit in model.record.fits] == objectives[:recorded]
    assert len(model.record.seconds) == recorded
    assert calls == [(epoch, len(objectives)) for epoch in range(1, recorded + 1)]
    assert ("diverged in epoch" in caplog.text) == (ended == "diverged")


def test_every_iterate_is_observed_and_the_time_of_the_observer_does_not_count():
    iterates: list[LowRank] = []

    def observe(iterate: LowRank) -> None:
        time.sleep(0.5)
        iterates.append(iterate)

    method = Admm(l2=2, dropout=0.1, epochs=4, omega=10)
    model = method.fit(training(SMALL), 2, resources=PLENTY, observe=observe)
    assert len(iterates) == 4
    assert np.array_equal(iterates[model.record.kept - 1].U, model.U)
    assert model.record.seconds[-1] < 1.5


def test_tolerance_is_relative():
    assert run(5000, 4000, 3999, 3000, tolerance=1e-3)[0].record.ended == "converged"
    assert run(5000, 4000, 3999, 3000, tolerance=1e-4)[0].record.ended == "epochs"


def test_divergence_in_the_first_epoch_is_an_error():
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
def test_options_outside_their_range_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        Admm(**changes)
