"""The network as it is used, without PyTorch: its layers, its starts, and the best output layer for it."""

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from scipy.sparse import csr_array

from edlae_sweeps.errors import ConfigError, MissingExtra
from edlae_sweeps.methods import METHODS, Activation, Deep, Denoising, Device, Init, RowWeights
from edlae_sweeps.methods.bound import bounds, row_weights
from edlae_sweeps.methods.descent import Plateau, fit_output
from edlae_sweeps.methods.network import Encoder, Layer

random = np.random.default_rng(0)
X = csr_array((random.random((300, 40)) < 0.15).astype(np.float64))


def deep(**changes: object) -> Deep:
    values = {
        "hidden": [24], "activation": Activation.tanh, "last_linear": True, "batch_norm": False, "init": Init.random,
        "row_weights": RowWeights.none, "epochs": 5, "batch": 50, "learning_rate": 2e-3, "patience": 2,
        "tolerance": 5e-4, "device": Device.cpu, "seed": 0,
    }  # fmt: skip
    return Deep(**{**values, **changes})


def denoising(**changes: object) -> Denoising:
    values = {"dropout": 0.3, "epochs": 5, "batch": 50, "learning_rate": 3e-3, "device": Device.cpu, "seed": 0}
    return Denoising(**{**values, **changes})


def start(method: Deep, k: int, data: csr_array = X) -> tuple[Encoder, float]:
    """The encoder that training begins with, and the ratio of its squared error to the bound."""
    G = (data.T @ data).toarray()
    state = method.learn(data, G, method.penalty(G), k)
    encoder = method.start(state, k)
    fit = fit_output(encoder, data, state.w)
    assert encoder(data).dtype == data.dtype
    return encoder, fit.loss / state.bounds[k - 1]


@pytest.mark.parametrize("activation", Activation)
@pytest.mark.parametrize("hidden", [[], [20], [30, 20], [24, 24, 24, 24]])
@pytest.mark.parametrize("weights", RowWeights)
def test_from_the_svd_training_starts_at_the_bound(activation, hidden, weights):
    method = deep(init=Init.svd, activation=activation, hidden=hidden, row_weights=weights)
    _, ratio = start(method, 10)
    assert 1 - 1e-12 <= ratio < 1.01
    if activation in (Activation.relu, Activation.gelu):
        assert ratio < 1 + 1e-9


def test_from_the_svd_a_layer_that_is_too_narrow_passes_what_it_has_room_for():
    method = deep(init=Init.svd, activation=Activation.relu, hidden=[40, 12])
    _, found = bounds(X, np.ones(300), 10)
    encoder, ratio = start(method, 10)
    # Six pairs, and four units that have what the pairs are made of.
    assert found[9] * ratio <= found[5] * (1 + 1e-9)
    assert ratio > 1
    Q = bounds(X, np.ones(300), 6)[0]
    np.testing.assert_allclose(encoder(X)[:, :6], X @ Q, atol=1e-12)


@pytest.mark.parametrize("activation", Activation)
def test_at_random_what_passes_keeps_its_scale(activation):
    encoder, ratio = start(deep(activation=activation, hidden=[60, 60, 60]), 10)
    assert 0.2 < encoder(X).std() < 5
    assert ratio > 1
    again, _ = start(deep(activation=activation, hidden=[60, 60, 60]), 10)
    other, _ = start(deep(activation=activation, hidden=[60, 60, 60], seed=1), 10)
    assert np.array_equal(again(X), encoder(X))
    assert not np.array_equal(other(X), encoder(X))


@pytest.mark.parametrize("weights", RowWeights)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_output_layer_and_both_errors_are_exact(weights, dtype, monkeypatch):
    # Several blocks of rows, the last one short.
    monkeypatch.setattr("edlae_sweeps.methods.descent.ROWS", 70)
    data, w = X.astype(dtype), row_weights(weights, X)
    encoder, _ = start(deep(hidden=[20, 15], activation=Activation.selu), 6, data)
    fit = fit_output(encoder, data, w)
    Z = encoder(data).astype(np.float64)
    root = np.sqrt(w)[:, None]
    expected = np.linalg.lstsq(root * Z, root * X.toarray(), rcond=None)[0].T
    np.testing.assert_allclose(fit.V, expected, rtol=1e-5, atol=1e-6)
    assert fit.V.dtype == dtype
    residual = np.sum((X.toarray() - Z @ fit.V.astype(np.float64).T) ** 2, axis=1)
    assert fit.loss == pytest.approx(w @ residual, rel=1e-12)
    assert fit.squared_error == pytest.approx(residual.sum(), rel=1e-12)


def test_hidden_units_that_are_not_finite_have_no_output_layer():
    layer = Layer(np.full((40, 3), 1e200), np.zeros(3))
    square = Encoder([layer, Layer(np.full((3, 2), 1e200), np.zeros(2))], Activation.relu, True)
    assert fit_output(square, X, np.ones(300)) is None


def test_units_that_are_dead_or_alike_get_an_output_layer_all_the_same():
    W = np.abs(random.standard_normal((40, 3)))
    W[:, 1] = W[:, 0]
    W[:, 2] = 0
    fit = fit_output(Encoder([Layer(W, np.zeros(3))], Activation.relu, False), X, np.ones(300))
    Z = X @ W[:, :1]
    assert np.isfinite(fit.V).all()
    assert fit.loss == pytest.approx(np.sum((X - Z @ np.linalg.lstsq(Z, X.toarray(), rcond=None)[0]) ** 2))


def test_a_plateau_lowers_the_rate_and_ends_it():
    plateau = Plateau(1.0, 2, 0.1)
    rates = []
    for error in (80, 70, 69, 68, 30, 29, 28):
        assert not plateau.over(error)
        rates.append(plateau.rate)
    np.testing.assert_allclose(rates, [1, 1, 1, 0.3, 0.3, 0.3, 0.09])
    ends = [plateau.over(28.0) for _ in range(4)]
    assert ends == [False, False, False, True]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden": [0]}, "hidden"), ({"hidden": [10, -1]}, "hidden"), ({"epochs": 0}, "epochs"),
        ({"batch": 0}, "batch"), ({"patience": 0}, "patience"), ({"learning_rate": 0.0}, "learning_rate"),
        ({"learning_rate": float("nan")}, "learning_rate"), ({"tolerance": 1.0}, "tolerance"), ({"seed": -1}, "seed"),
        ({"init": Init.svd, "last_linear": False}, "init=svd"), ({"batch_norm": True, "batch": 1}, "batch=1"),
    ],
)  # fmt: skip
def test_settings_outside_their_range_are_refused(changes, message):
    deep().check()
    with pytest.raises(ConfigError, match=f"method.{message}"):
        deep(**changes).check()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dropout": 0.0}, "dropout=0.*choose a probability above 0"), ({"dropout": 1.0}, "dropout=1"),
        ({"dropout": float("nan")}, "dropout=nan"), ({"epochs": 0}, "epochs"), ({"batch": 0}, "batch"),
        ({"learning_rate": 2.0}, "learning_rate"), ({"seed": 2**32}, "seed"),
    ],
)  # fmt: skip
def test_denoising_outside_its_range_is_refused(changes, message):
    denoising().check()
    with pytest.raises(ConfigError, match=f"method.{message}"):
        denoising(**changes).check()


@pytest.mark.parametrize("method", [deep(), denoising()], ids=lambda method: method.name)
def test_what_pytorch_trains(method, monkeypatch):
    with pytest.raises(ConfigError, match=f"rank=full: {method.name} has low ranks only"):
        method.check_rank("full")
    with pytest.raises(TypeError, match="call learn with X"):
        method.factorise(np.eye(2), np.zeros(2), 1)
    # Where it is computed is no part of what a result is.
    assert "device" not in method.params()
    assert METHODS[method.name] is type(method)
    monkeypatch.setattr("edlae_sweeps.methods.extra.find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=r"pip install 'edlae_sweeps\[torch\]'") as caught:
        method.require()
    assert "\n" not in str(caught.value)


def test_pytorch_is_not_imported_where_nothing_asks_for_it():
    script = "import sys, edlae_sweeps.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_the_size_of_a_model_is_that_of_its_arrays():
    encoder, _ = start(deep(hidden=[20, 15]), 6)
    layers = sum(layer.W.size + layer.b.size for layer in encoder.layers)
    assert deep(hidden=[20, 15]).model_size(40, 6) == layers + 40 * 6
    widths = [layer.W.shape for layer in encoder.layers]
    assert all(before[1] == after[0] for before, after in pairwise(widths))
