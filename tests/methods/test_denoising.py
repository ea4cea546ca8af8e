"""Emphasised denoising and Eq. 7: the expected loss, exact and sampled, and the training."""

from itertools import product

import numpy as np
import pytest
from cases import PLENTY, denoising, training
from hypothesis import given
from hypothesis import strategies as st
from reference import emphasised_loss, eq7, penalty
from scipy.sparse import csr_array

from edlae_sweeps.models import LowRank


@given(st.integers(0, 2**31), st.floats(0.05, 0.9))
def test_the_expected_loss_over_all_masks_is_p_times_eq_7(seed, p):
    random = np.random.default_rng(seed)
    X = (random.random((2, 4)) < 0.6).astype(float)
    U, V = random.standard_normal((2, 4, 2))
    expected = 0.0
    for mask in product([True, False], repeat=X.size):
        kept = np.array(mask).reshape(X.shape)
        expected += (1 - p) ** kept.sum() * p ** (~kept).sum() * emphasised_loss(X, U, V, p, kept)
    assert expected == pytest.approx(p * eq7(X, U @ V.T, penalty(X, 0, p)), rel=1e-9)


def test_the_mean_loss_of_many_masks_is_p_times_eq_7():
    random = np.random.default_rng(0)
    X = (random.random((200, 30)) < 0.2).astype(float)
    U, V = 0.3 * random.standard_normal((2, 30, 4))
    for p in (0.1, 0.33, 0.8):
        losses = [emphasised_loss(X, U, V, p, random.random(X.shape) >= p) for _ in range(2000)]
        expected = p * eq7(X, U @ V.T, penalty(X, 0, p))
        error = np.std(losses) / np.sqrt(len(losses))
        assert abs(np.mean(losses) - expected) < 4 * error
        assert error < 0.01 * expected


class Masks:
    """A random generator that returns a given mask."""

    def __init__(self, kept: np.ndarray) -> None:
        self.kept = kept

    def random(self, size: int) -> np.ndarray:
        assert size == self.kept.size
        return self.kept.astype(float)


@pytest.mark.torch
@pytest.mark.parametrize("binary", [True, False])
def test_the_training_loss_is_the_expectation_over_the_masks_of_zeros(binary):
    pytest.importorskip("torch")
    from edlae_sweeps.methods.neural.denoiser import Denoiser

    random = np.random.default_rng(1)
    X = np.array([[1.0, 0, 1, 0], [0, 1, 1, 0]]) * (1 if binary else random.uniform(0.5, 2, (2, 4)))
    p = 0.3
    denoiser = Denoiser(csr_array(X), 2, p, 2, 0, PLENTY)
    U, V = denoiser.factors()
    ones, zeros = np.argwhere(X > 0), np.argwhere(X == 0)
    for of_ones in product([True, False], repeat=len(ones)):
        denoiser._random = Masks(np.array(of_ones))
        expected = 0.0
        for of_zeros in product([True, False], repeat=len(zeros)):
            kept = np.zeros(X.shape, dtype=bool)
            kept[tuple(ones.T)] = of_ones
            kept[tuple(zeros.T)] = of_zeros
            chance = (1 - p) ** sum(of_zeros) * p ** (len(zeros) - sum(of_zeros))
            expected += chance * emphasised_loss(X, U, V, p, kept)
        assert denoiser.loss(csr_array(X)).item() == pytest.approx(expected, rel=1e-10)


@pytest.mark.torch
def test_training_reaches_a_minimum_of_eq_7():
    pytest.importorskip("torch")
    from lbfgs import local_optimum

    random = np.random.default_rng(0)
    topics = random.random((6, 30)) ** 4
    X = (random.random((600, 30)) < topics[random.integers(0, 6, 600)]).astype(float)
    method = denoising(dropout=0.4, epochs=150, batch=100, learning_rate=0.01)
    state = method.prepare(training(X), 4, PLENTY)
    Lam = penalty(X, 0, 0.4)
    np.testing.assert_allclose(np.diag(state.penalty), Lam)
    iterates: list[LowRank] = []
    model = method.fit(state, 4, observe=iterates.append)
    objective = state.training_metrics(model)["objective"]
    assert objective == pytest.approx(eq7(X, model.U @ model.V.T, Lam), rel=1e-9)
    U, V = local_optimum(state.data.gram, state.penalty, model.U, model.V, 500)
    best = eq7(X, U @ V.T, Lam)
    assert best <= objective <= 1.005 * best
    assert model.record.fits[model.record.kept - 1].objective == pytest.approx(objective)
    assert len(iterates) == len(model.record.fits)


@pytest.mark.torch
def test_the_same_seed_gives_the_same_factors():
    pytest.importorskip("torch")
    X = (np.random.default_rng(0).random((50, 12)) < 0.3).astype(np.float32)

    def factors(seed: int) -> np.ndarray:
        return denoising(seed=seed).fit(X, 3, resources=PLENTY).U

    assert np.array_equal(factors(0), factors(0))
    assert not np.array_equal(factors(0), factors(1))
    assert factors(0).dtype == np.float32
