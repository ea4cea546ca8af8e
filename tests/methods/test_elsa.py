"""ELSA: its loss and its steps against NumPy, and the model AAᵀ − I."""

import numpy as np
import pytest
from cases import PLENTY, elsa, topics
from scipy.sparse import csr_array

from edlae_sweeps.datasets import TrainingData
from edlae_sweeps.errors import ConfigError, SolverError
from edlae_sweeps.methods import Elsa
from edlae_sweeps.models import Cosine

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

X = topics(200, 40)
# Someone without items, and someone whose only item nobody else has.
X[0] = 0
X[1] = np.eye(40)[7]


def normalized(a: np.ndarray) -> np.ndarray:
    """Rows of length 1; rows of zeros stay."""
    lengths = np.linalg.norm(a, axis=1, keepdims=True)
    return np.divide(a, lengths, out=np.zeros_like(a), where=lengths > 0)


def loss(free: np.ndarray, x: np.ndarray) -> float:
    """The mean of ‖y/‖y‖ − x/‖x‖‖², from dense matrices."""
    A = normalized(free)
    y = np.maximum(0, x @ (A @ A.T - np.eye(len(A))))
    return float(np.sum((normalized(y) - normalized(x)) ** 2) / len(x))


def gradient(free: np.ndarray, x: np.ndarray, step: float = 1e-6) -> np.ndarray:
    """By central differences."""
    result = np.empty_like(free)
    for index in np.ndindex(*free.shape):
        ends = []
        for sign in (1, -1):
            moved = free.copy()
            moved[index] += sign * step
            ends.append(loss(moved, x))
        result[index] = (ends[0] - ends[1]) / (2 * step)
    return result


def first_step(free: np.ndarray, g: np.ndarray, rate: float) -> np.ndarray:
    """NAdam (Dozat 2016) with PyTorch's defaults, from zero moments."""
    mu_1, mu_2 = (0.9 * (1 - 0.5 * 0.96 ** (t * 0.004)) for t in (1, 2))
    m, v = 0.1 * g, g**2
    update = (1 - mu_1) * g / (1 - mu_1) + mu_2 * m / (1 - mu_1 * mu_2)
    return free - rate * update / (np.sqrt(v) + 1e-8)


def unit_rows(x: np.ndarray, k: int = 3, batch: int = 500, rate: float = 0.01):
    from edlae_sweeps.methods.neural.elsa_training import UnitRows

    return UnitRows(csr_array(x), k, batch, rate, 0, PLENTY)


def test_loss_gradient_and_first_step_are_those_of_the_paper():
    x = X[:60, :15]
    rows = unit_rows(x)
    free = rows._free.detach().numpy().copy()
    value = rows.loss(csr_array(x))
    value.backward()
    assert value.item() == pytest.approx(loss(free, x), rel=1e-12)
    g = gradient(free, x)
    np.testing.assert_allclose(rows._free.grad.numpy(), g, atol=1e-6)
    assert rows.epoch() == pytest.approx(loss(free, x), rel=1e-12)
    # Where the gradient is not almost 0, since a first step is as long for any.
    moved, clear = rows._free.detach().numpy(), np.abs(g) > 1e-4
    assert clear.mean() > 0.8
    np.testing.assert_allclose(moved[clear], first_step(free, g, 0.01)[clear], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_training_lowers_the_loss_and_keeps_unit_rows(dtype):
    model = elsa(epochs=8).fit(TrainingData(X, dtype), 5, resources=PLENTY)
    assert isinstance(model, Cosine)
    assert model.dtype == dtype
    np.testing.assert_allclose(np.linalg.norm(model.A, axis=1), 1, rtol=1e-6)
    losses = model.record.losses
    assert len(losses) == 8
    assert losses[-1] < 0.9 * losses[0]
    # The passing loss of the last epoch is near that of the model.
    assert loss(model.A.astype(float), X) == pytest.approx(losses[-1], rel=0.1)
    assert model.record.metrics() == {"train/epochs": 8, "train/loss": losses[-1]}
    assert list(model.record.series()) == ["train/loss", "time/elapsed_seconds"]


def test_the_seed_determines_the_model():
    models = [elsa(seed=seed).fit(X, 4, resources=PLENTY).A for seed in (1, 1, 2)]
    assert np.array_equal(models[0], models[1])
    assert not np.allclose(models[0], models[2])


def test_each_epoch_is_seen():
    models, done = [], []
    model = elsa(epochs=3).fit(X, 3, resources=PLENTY, observe=models.append, advance=lambda *pair: done.append(pair))
    assert done == [(1, 3), (2, 3), (3, 3)]
    assert np.array_equal(models[-1].A, model.A)
    assert not np.array_equal(models[0].A, model.A)


def test_the_training_error_is_that_without_the_diagonal():
    method, data = elsa(), TrainingData(X, "float64")
    state = method.prepare(data, 4, PLENTY)
    model = method.fit(state, 4)
    W = model.A @ model.A.T - np.eye(X.shape[1])
    metrics = state.training_metrics(model)
    assert metrics["squared_error"] == pytest.approx(np.sum((X - X @ W) ** 2), rel=1e-9)
    # Eq. 7 without a penalty: there is no diagonal to take off.
    assert metrics["objective"] == pytest.approx(metrics["squared_error"], rel=1e-9)
    assert state.training_metrics(model)["squared_error"] != pytest.approx(np.sum((X - X @ model.A @ model.A.T) ** 2))


def test_a_training_that_is_not_finite_is_one_line(monkeypatch):
    monkeypatch.setattr("edlae_sweeps.methods.neural.elsa_training.UnitRows.epoch", lambda _: float("nan"))
    with pytest.raises(SolverError, match=r"elsa diverges in epoch 1: lower method\.learning_rate"):
        elsa().fit(X, 3, resources=PLENTY)


@pytest.mark.parametrize("changes", [{"epochs": 0}, {"batch": 0}, {"learning_rate": 0.0}, {"seed": -1}])
def test_options_outside_their_range_are_refused(changes):
    with pytest.raises(ConfigError, match=f"method.{next(iter(changes))}="):
        Elsa(**changes)
