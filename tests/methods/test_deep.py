"""Training of deep autoencoders: loss and gradients, epochs against the bound, and which epoch is kept."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cases import PLENTY, SHAPES, deep, denoising, training
from scipy.sparse import csr_array

from edlae_sweeps.errors import ConfigError, SolverError
from edlae_sweeps.methods.bound import row_weights
from edlae_sweeps.methods.neural.descent import fit_output
from edlae_sweeps.models import LowRank, Network
from edlae_sweeps.models.network import FUNCTIONS
from edlae_sweeps.resources import cores

torch = pytest.importorskip("torch")

from edlae_sweeps.methods.neural.gradient import _ACTIVATIONS, Trainer, batches  # noqa: E402 - not without torch

pytestmark = pytest.mark.torch

CASES = [
    deep(epochs=3),
    deep(epochs=3, hidden=[], activation="relu", last_linear=False),
    deep(epochs=3, hidden=[7, 2, 9], activation="gelu", row_weights="inverse_activity"),
    deep(epochs=3, hidden=[60, 60], activation="selu", init="svd", row_weights="inverse_activity"),
    deep(epochs=3, hidden=[8, 8], activation="relu", batch_norm=True, batch=4),
    deep(epochs=3, hidden=[60], activation="tanh", batch_norm=True, init="svd", batch=4),
    denoising(epochs=3, batch=4),
]

random = np.random.default_rng(0)
TOPICS = random.random((8, 50)) ** 5
X = csr_array((random.random((500, 50)) < TOPICS[random.integers(0, 8, 500)]).astype(np.float64))


def fitted(method, k: int, **options: object) -> tuple[Network, float]:
    """The model of X, and the bound of its rank."""
    state = method.prepare(training(X), k, PLENTY)
    return method.fit(state, k, **options), float(state.bounds[k - 1])


def test_pytorch_uses_the_given_threads():
    for threads in {1, cores()}:
        used = []
        state = deep(epochs=1).prepare(training(X), 2, replace(PLENTY, threads=threads))
        deep(epochs=1).fit(state, 2, observe=lambda _, used=used: used.append(torch.get_num_threads()))
        assert used == [threads]


@pytest.mark.parametrize("method", CASES, ids=repr)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
def test_models_of_every_rank(method, dtype, shape):
    dense = SHAPES[shape].astype(dtype)
    n = dense.shape[1]
    data = training(dense, dtype)
    before = data.gram.copy()
    if len(dense) == 1 and getattr(method, "batch_norm", False):
        with pytest.raises(ConfigError, match="two training users or more"):
            method.prepare(data, n, PLENTY)
        return
    state = method.prepare(data, n, PLENTY)
    for k in (1, min(3, n), n):
        model = method.fit(state, k)
        scores = model.scores(data.X)
        assert scores.shape == dense.shape
        assert scores.dtype == dtype
        assert np.isfinite(scores).all()
        assert model.V.shape == (n, k)
        assert np.array_equal(data.gram, before)
        assert all(array.dtype.kind != "O" for array in model.arrays().values())
        assert model.size * data.dtype.itemsize == method.estimate(data, [k], PLENTY).model_bytes
        if isinstance(model, LowRank):
            continue
        # The recorded error is exact, and no epoch is below the bound.
        trials = model.record
        wide = scores.astype(np.float64)
        assert trials.metrics()["train/squared_error"] == pytest.approx(np.sum((dense - wide) ** 2), rel=1e-4, abs=1e-4)
        assert trials.losses[trials.kept] == min(trials.losses)
        assert trials.bound == state.bounds[k - 1]
        assert min(trials.losses) >= trials.bound - 1e-10 * dense.sum()


@pytest.mark.parametrize("weights", ["none", "inverse_activity"])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_the_loss_and_its_gradients_are_those_of_dense_scores(weights, batch_norm):
    data = X[:40].copy()
    data.data = random.uniform(0.5, 2, data.nnz)
    w = row_weights(weights, data)
    method = deep(hidden=[9, 7], activation="gelu", row_weights=weights, batch_norm=batch_norm)
    state = method.prepare(training(data), 4, PLENTY)
    trainer = Trainer(method, method.start(state, 4), 4, data, w, PLENTY)
    trainer.set_output(random.standard_normal((50, 4)))
    rows, weight = torch.tensor(data.toarray()), torch.tensor(w)[:, None]
    parameters = [*(part for layer in trainer._layers for part in layer), trainer._V]
    a = rows @ parameters[0] + parameters[1]
    for index in (2, 4):
        if batch_norm:
            norm = trainer._norms[index // 2 - 1]
            a = (a - a.mean(0)) / torch.sqrt(a.var(0, correction=0) + 1e-5) * norm.gamma + norm.beta
        a = torch.nn.functional.gelu(a) @ parameters[index] + parameters[index + 1]
    dense = (weight * (rows - a @ parameters[-1].T) ** 2).sum() / 40
    expected = torch.autograd.grad(dense, parameters)
    loss = trainer._loss(data, weight[:, 0])
    constant = float((weight * rows**2).sum() / 40)
    assert loss.item() + constant == pytest.approx(dense.item(), rel=1e-10)
    for gradient, wanted in zip(torch.autograd.grad(loss, parameters), expected, strict=True):
        np.testing.assert_allclose(gradient.numpy(), wanted.numpy(), atol=1e-10)


@pytest.mark.parametrize("activation", FUNCTIONS)
def test_numpy_and_pytorch_have_the_same_activations(activation):
    a = np.linspace(-6, 6, 101)
    np.testing.assert_allclose(FUNCTIONS[activation](a), _ACTIVATIONS[activation](torch.tensor(a)).numpy(), atol=1e-12)


def test_batch_norm_starts_as_the_identity_and_is_folded_into_the_weights():
    method = deep(hidden=[20, 20], batch_norm=True, init="svd")
    state = method.prepare(training(X), 6, PLENTY)
    start = method.start(state, 6)
    trainer = Trainer(method, start, 6, X, state.w, PLENTY)
    np.testing.assert_allclose(trainer.encoder()(X), start(X), atol=1e-9)
    fit = fit_output(start, X, state.w)
    assert fit.loss < 1.01 * state.bounds[5]
    trainer.set_output(fit.V)
    for _ in range(3):
        trainer.epoch(1e-2)
    a = torch.tensor(X.toarray()) @ trainer._layers[0][0] + trainer._layers[0][1]
    for norm, (W, b) in zip(trainer._norms, trainer._layers[1:], strict=True):
        a = torch.nn.functional.batch_norm(a, norm.mean, norm.variance, norm.gamma, norm.beta, training=False)
        a = torch.tanh(a) @ W + b
    np.testing.assert_allclose(trainer.encoder()(X), a.detach().numpy(), atol=1e-9)


@pytest.mark.parametrize("activation", FUNCTIONS)
@pytest.mark.parametrize("hidden", [[40], [40, 40]])
def test_training_from_a_random_start_approaches_the_bound_and_never_passes_it(activation, hidden):
    model, bound = fitted(deep(activation=activation, hidden=hidden, epochs=60, learning_rate=5e-3), 8)
    start, *losses = model.record.losses
    assert start > 1.3 * bound
    assert bound * (1 - 1e-12) <= min(losses) < 1.06 * bound


def test_training_from_the_svd_stays_at_the_bound():
    for activation in FUNCTIONS:
        model, bound = fitted(deep(activation=activation, hidden=[40, 40], epochs=30, init="svd"), 8)
        losses = model.record.losses
        assert losses[0] < 1.01 * bound
        assert bound * (1 - 1e-12) <= losses[model.record.kept] <= losses[0]


def test_the_same_seed_gives_the_same_network():
    model, same, changed = (fitted(deep(seed=seed), 5)[0] for seed in (0, 0, 1))
    assert np.array_equal(model.scores(X), same.scores(X))
    assert not np.array_equal(model.scores(X), changed.scores(X))


def test_epochs_report_progress_and_end_at_a_plateau():
    calls, networks = [], []
    method = deep(epochs=40, tolerance=0.5)
    model, _ = fitted(method, 5, advance=lambda *call: calls.append(call), observe=networks.append)
    trials = model.record
    assert trials.ended == "converged"
    # Five rates of two epochs, the last of them below a hundredth of the first.
    epochs = len(trials.seconds)
    assert epochs < 20
    assert calls == [(epoch, 40) for epoch in range(1, epochs + 1)]
    assert [len(values) for values in trials.series().values()] == [epochs] * 4
    errors = [np.sum((X.toarray() - network.scores(X)) ** 2) for network in networks]
    np.testing.assert_allclose(errors, trials.losses[1:], rtol=1e-9)
    np.testing.assert_array_equal(networks[trials.kept - 1].scores(X), model.scores(X))
    assert fitted(deep(epochs=2), 5)[0].record.ended == "epochs"


def test_a_network_that_diverges_leaves_its_best_epoch(monkeypatch, caplog):
    fine = iter([True, True, True, False])
    name = "edlae_sweeps.methods.neural.descent.fit_output"
    monkeypatch.setattr(name, lambda *args: fit_output(*args) if next(fine) else None)
    model, _ = fitted(deep(), 5)
    assert (model.record.ended, len(model.record.losses)) == ("diverged", 3)
    assert "diverged in epoch 3" in caplog.text
    monkeypatch.setattr(name, lambda *_: None)
    with pytest.raises(SolverError, match="not finite at its start"):
        fitted(deep(), 5)


@pytest.mark.parametrize(("users", "size", "lengths"), [(3, 2, {3}), (10, 3, {3, 4}), (1, 5, {1}), (7, 7, {7})])
def test_batches_have_nearly_equal_sizes(users, size, lengths):
    slices = batches(users, size)
    assert [row for rows in slices for row in range(rows.start, rows.stop)] == list(range(users))
    assert {rows.stop - rows.start for rows in slices} == lengths


MEASURE = """
import sys
import numpy as np
from scipy.sparse import csr_array
sys.path.insert(0, {folder!r})
from cases import PLENTY, deep, denoising
from edlae_sweeps import resources as machine
from edlae_sweeps.datasets import TrainingData
import edlae_sweeps.methods.neural.gradient
n, k = 5000, 150
random = np.random.default_rng(0)
X = csr_array((np.ones(60000, np.float32), (random.integers(0, 2000, 60000), random.integers(0, n, 60000))), (2000, n))
gram = np.ones((n, n), np.float32)
data = TrainingData(X, gram=lambda: gram)
method = {method}
method.fit(data, 1, resources=PLENTY)
before = machine.peak_memory()
method.fit(data, k, resources=PLENTY)
print(machine.peak_memory() - before, method.estimate(data, [k], PLENTY).bytes - gram.nbytes)
"""


@pytest.mark.parametrize("method", ["deep(epochs=1, hidden=[8], batch=500)", "denoising(epochs=1, batch=500)"])
def test_memory_estimate_covers_the_measured_peak(method):
    script = MEASURE.format(folder=str(Path(__file__).parent), method=method)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    measured, estimate = map(int, done.stdout.split())
    assert measured <= 1.1 * estimate
    assert estimate <= 2 * measured
