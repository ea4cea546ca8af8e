"""Deep autoencoders without PyTorch: their start, the best output layer, and their options."""

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from cases import PLENTY, deep, denoising, elsa, training
from scipy.sparse import csr_array

from edlae_sweeps.errors import ConfigError, MissingExtra
from edlae_sweeps.methods import Deep
from edlae_sweeps.methods.bound import bounds, energy, row_weights
from edlae_sweeps.methods.neural.deep import DeepState
from edlae_sweeps.methods.neural.descent import Plateau, fit_output
from edlae_sweeps.models import Encoder, Layer
from edlae_sweeps.models.network import FUNCTIONS

random = np.random.default_rng(0)
X = csr_array((random.random((300, 40)) < 0.15).astype(np.float64))


WEIGHTS = ["none", "inverse_activity"]


def start(method: Deep, k: int, data: csr_array = X) -> tuple[Encoder, float]:
    """The encoder before training, and the ratio of its squared error to the bound."""
    w = row_weights(method.row_weights, data)
    Q, tails = bounds(data, w, k)
    # What `prepare` makes where PyTorch is installed.
    prepared = training(data, str(data.dtype))
    state = DeepState(data=prepared, penalty=np.zeros(40), max_rank=k, resources=PLENTY, w=w, Q=Q, bounds=tails)
    encoder = method.start(state, k)
    assert encoder(data).dtype == data.dtype
    return encoder, fit_output(encoder, data, w).loss / tails[k - 1]


@pytest.mark.parametrize("activation", FUNCTIONS)
@pytest.mark.parametrize("hidden", [[], [20], [30, 20], [24, 24, 24, 24]])
@pytest.mark.parametrize("weights", WEIGHTS)
def test_init_svd_starts_at_the_bound(activation, hidden, weights):
    method = deep(init="svd", activation=activation, hidden=hidden, row_weights=weights)
    _, ratio = start(method, 10)
    assert 1 - 1e-12 <= ratio < 1.01
    if activation in ("relu", "gelu"):
        assert ratio < 1 + 1e-9


def test_init_svd_through_a_narrow_layer_passes_as_many_directions_as_fit():
    method = deep(init="svd", activation="relu", hidden=[40, 12])
    _, tails = bounds(X, np.ones(300), 10)
    encoder, ratio = start(method, 10)
    # Six pairs, and four units without a direction.
    assert tails[9] * ratio <= tails[5] * (1 + 1e-9)
    assert ratio > 1
    Q = bounds(X, np.ones(300), 6)[0]
    np.testing.assert_allclose(encoder(X)[:, :6], X @ Q, atol=1e-12)


@pytest.mark.parametrize("activation", FUNCTIONS)
def test_a_random_start_keeps_the_scale_of_activations_and_depends_on_the_seed(activation):
    options = {"activation": activation, "hidden": [60, 60, 60]}
    encoder, ratio = start(deep(**options), 10)
    assert 0.2 < encoder(X).std() < 5
    assert ratio > 1
    same, _ = start(deep(**options), 10)
    changed, _ = start(deep(**options, seed=1), 10)
    assert np.array_equal(same(X), encoder(X))
    assert not np.array_equal(changed(X), encoder(X))


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_output_layer_and_both_errors_are_exact(weights, dtype, monkeypatch):
    # Several blocks of rows, the last one short.
    monkeypatch.setattr("edlae_sweeps.methods.neural.descent.ROWS", 70)
    data, w = X.astype(dtype), row_weights(weights, X)
    encoder, _ = start(deep(hidden=[20, 15], activation="selu"), 6, data)
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
    square = Encoder([layer, Layer(np.full((3, 2), 1e200), np.zeros(2))], "relu", True)
    assert fit_output(square, X, np.ones(300)) is None


def test_dead_and_identical_units_get_an_output_layer():
    W = np.abs(random.standard_normal((40, 3)))
    W[:, 1] = W[:, 0]
    W[:, 2] = 0
    fit = fit_output(Encoder([Layer(W, np.zeros(3))], "relu", False), X, np.ones(300))
    Z = X @ W[:, :1]
    assert np.isfinite(fit.V).all()
    assert fit.loss == pytest.approx(np.sum((X - Z @ np.linalg.lstsq(Z, X.toarray(), rcond=None)[0]) ** 2))


def test_plateaus_lower_the_rate_and_end_the_training():
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
        ({"hidden": [2.5]}, "hidden"), ({"hidden": ["a"]}, "hidden"), ({"hidden": 10}, "hidden=10: choose a list"),
        ({"activation": "sine"}, "activation=sine: choose from relu, tanh, gelu, selu"),
        ({"batch": 0}, "batch"), ({"patience": 0}, "patience"), ({"learning_rate": 0.0}, "learning_rate"),
        ({"learning_rate": float("nan")}, "learning_rate"), ({"tolerance": 1.0}, "tolerance"), ({"seed": -1}, "seed"),
        ({"init": "svd", "last_linear": False}, "init=svd"), ({"batch_norm": True, "batch": 1}, "batch=1"),
    ],
)  # fmt: skip
def test_options_of_deep_outside_their_range_are_refused(changes, message):
    with pytest.raises(ConfigError, match=f"method.{message}"):
        deep(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dropout": 0.0}, "dropout=0.*choose a probability above 0"), ({"dropout": 1.0}, "dropout=1"),
        ({"dropout": float("nan")}, "dropout=nan"), ({"epochs": 0}, "epochs"), ({"batch": 0}, "batch"),
        ({"learning_rate": 2.0}, "learning_rate"), ({"seed": 2**32}, "seed"),
    ],
)  # fmt: skip
def test_options_of_denoising_outside_their_range_are_refused(changes, message):
    with pytest.raises(ConfigError, match=f"method.{message}"):
        denoising(**changes)


@pytest.mark.parametrize("method", [deep(), denoising(), elsa()], ids=lambda method: method.name)
def test_methods_that_need_pytorch(method, monkeypatch):
    with pytest.raises(ConfigError, match=f"rank=full: {method.name} has low ranks only"):
        method.check_rank("full")
    # The device does not determine the result.
    assert "device" not in method.params()
    monkeypatch.setattr("edlae_sweeps.methods.neural.torch_extra.find_spec", lambda _: None)
    for work in (lambda: method.require("cpu"), lambda: method.fit(X, 3, resources=PLENTY)):
        with pytest.raises(MissingExtra, match=r"pip install 'edlae_sweeps\[torch\]'") as caught:
            work()
        assert "\n" not in str(caught.value)


def test_pytorch_is_imported_by_fits_alone():
    script = "import sys, edlae_sweeps.cli, edlae_sweeps.methods; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_the_size_of_a_network_is_that_of_its_arrays():
    encoder, _ = start(deep(hidden=[20, 15]), 6)
    layers = sum(layer.W.size + layer.b.size for layer in encoder.layers)
    assert deep(hidden=[20, 15]).model_size(40, 6) == layers + 40 * 6
    widths = [layer.W.shape for layer in encoder.layers]
    assert all(before[1] == after[0] for before, after in pairwise(widths))


def test_energy_is_the_weighted_sum_of_squares():
    w = row_weights("inverse_activity", X)
    assert energy(X, w) == pytest.approx(w @ np.sum(X.toarray() ** 2, axis=1))
