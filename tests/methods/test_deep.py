"""The training of deep autoencoders: its loss and gradients, its epochs against the bound, what it keeps."""

import subprocess
import sys

import numpy as np
import pytest
from scipy.sparse import csr_array
from test_methods import SHAPES
from test_network import deep, denoising

from edlae_sweeps import machine
from edlae_sweeps.errors import ConfigError, SolverError
from edlae_sweeps.methods import Activation, Init, LowRank, Network, RowWeights
from edlae_sweeps.methods.bound import row_weights
from edlae_sweeps.methods.descent import fit_output
from edlae_sweeps.methods.network import FUNCTIONS

torch = pytest.importorskip("torch")

from edlae_sweeps.methods.gradient import _ACTIVATIONS, Trainer, batches  # noqa: E402 - not without torch

pytestmark = pytest.mark.torch

CASES = [
    deep(epochs=3),
    deep(epochs=3, hidden=[], activation=Activation.relu, last_linear=False),
    deep(epochs=3, hidden=[7, 2, 9], activation=Activation.gelu, row_weights=RowWeights.inverse_activity),
    deep(epochs=3, hidden=[60, 60], activation=Activation.selu, init=Init.svd, row_weights=RowWeights.inverse_activity),
    deep(epochs=3, hidden=[8, 8], activation=Activation.relu, batch_norm=True, batch=4),
    deep(epochs=3, hidden=[60], activation=Activation.tanh, batch_norm=True, init=Init.svd, batch=4),
    denoising(epochs=3, batch=4),
]

random = np.random.default_rng(0)
TOPICS = random.random((8, 50)) ** 5
X = csr_array((random.random((500, 50)) < TOPICS[random.integers(0, 8, 500)]).astype(np.float64))


def fitted(method, k: int, data: csr_array = X, **options: object) -> tuple[Network, float]:
    G = (data.T @ data).toarray()
    state = method.learn(data, G, method.penalty(G), k)
    return method.at_rank(state, k, **options), float(state.bounds[k - 1])


def test_threads_are_those_of_linear_algebra():
    for threads in {1, machine.cores()}:
        with machine.use(threads):
            fitted(deep(epochs=1), 2)
            assert torch.get_num_threads() == threads


@pytest.mark.parametrize("method", CASES, ids=repr)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
def test_models_of_every_rank(method, dtype, shape):
    data = SHAPES[shape].astype(dtype)
    n = data.shape[1]
    G = data.T @ data
    before = G.copy()
    if len(data) == 1 and getattr(method, "batch_norm", False):
        with pytest.raises(ConfigError, match="two training users or more"):
            method.learn(csr_array(data), G, method.penalty(G), n)
        return
    state = method.learn(csr_array(data), G, method.penalty(G), n)
    for k in (1, min(3, n), n):
        model = method.at_rank(state, k)
        scores = model.scores(csr_array(data))
        assert scores.shape == data.shape
        assert scores.dtype == dtype
        assert np.isfinite(scores).all()
        assert model.V.shape == (n, k)
        assert np.array_equal(G, before)
        assert all(values.dtype.kind != "O" for values in model.arrays().values())
        assert sum(values.size for values in model.arrays().values() if values.ndim) == method.model_size(n, k)
        if isinstance(model, LowRank):
            continue
        # Exact, and in no epoch below the bound.
        wide = scores.astype(np.float64)
        assert model.squared_error == pytest.approx(np.sum((data - wide) ** 2), rel=1e-4, abs=1e-4)
        losses = np.array([model.history.start, *model.history.losses])
        assert model.loss == losses[model.history.kept] == losses.min()
        bound = method.reached(state, model).bound
        assert losses.min() >= bound - 1e-10 * data.sum()
        assert model.history.bound == bound


@pytest.mark.parametrize("weights", RowWeights)
@pytest.mark.parametrize("batch_norm", [False, True])
def test_the_loss_and_its_gradients_are_those_of_dense_scores(weights, batch_norm):
    data = X[:40].copy()
    data.data = random.uniform(0.5, 2, data.nnz)
    w = row_weights(weights, data)
    method = deep(hidden=[9, 7], activation=Activation.gelu, row_weights=weights, batch_norm=batch_norm)
    G = (data.T @ data).toarray()
    trainer = Trainer(method, method.start(method.learn(data, G, method.penalty(G), 4), 4), 4, data, w)
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
    for found, wanted in zip(torch.autograd.grad(loss, parameters), expected, strict=True):
        np.testing.assert_allclose(found.numpy(), wanted.numpy(), atol=1e-10)


@pytest.mark.parametrize("activation", Activation)
def test_numpy_and_pytorch_have_the_same_activations(activation):
    a = np.linspace(-6, 6, 101)
    np.testing.assert_allclose(FUNCTIONS[activation](a), _ACTIVATIONS[activation](torch.tensor(a)).numpy(), atol=1e-12)


def test_batch_norm_begins_as_the_identity_and_is_folded_into_the_weights():
    method = deep(hidden=[20, 20], batch_norm=True, init=Init.svd)
    G = (X.T @ X).toarray()
    state = method.learn(X, G, method.penalty(G), 6)
    start = method.start(state, 6)
    trainer = Trainer(method, start, 6, X, state.w)
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


@pytest.mark.parametrize("activation", Activation)
@pytest.mark.parametrize("hidden", [[40], [40, 40]])
def test_from_a_random_start_training_comes_near_the_bound_and_never_below(activation, hidden):
    model, bound = fitted(deep(activation=activation, hidden=hidden, epochs=60, learning_rate=5e-3), 8)
    losses = np.array(model.history.losses)
    assert model.history.start > 1.3 * bound
    assert bound * (1 - 1e-12) <= losses.min() < 1.06 * bound


def test_from_the_svd_training_stays_at_the_bound():
    for activation in Activation:
        model, bound = fitted(deep(activation=activation, hidden=[40, 40], epochs=30, init=Init.svd), 8)
        assert model.history.start < 1.01 * bound
        assert bound * (1 - 1e-12) <= model.loss <= model.history.start


def test_the_same_seed_gives_the_same_network():
    one, again, other = (fitted(deep(seed=seed), 5)[0] for seed in (0, 0, 1))
    assert np.array_equal(one.scores(X), again.scores(X))
    assert not np.array_equal(one.scores(X), other.scores(X))


def test_epochs_are_followed_and_shown_and_end_at_a_plateau():
    calls, seen = [], []
    method = deep(epochs=40, tolerance=0.5)
    model, _ = fitted(method, 5, advance=lambda *call: calls.append(call), observe=seen.append)
    history = model.history
    assert history.ended == "converged"
    # Five rates of two epochs, the last of them below a hundredth of the first.
    assert len(history.losses) < 20
    assert calls == [(epoch, 40) for epoch in range(1, len(history.losses) + 1)]
    assert [one.loss for one in seen] == list(history.losses)
    np.testing.assert_array_equal(seen[history.kept - 1].scores(X), model.scores(X))
    assert fitted(deep(epochs=2), 5)[0].history.ended == "epochs"


def test_a_network_that_diverges_leaves_its_best_epoch(monkeypatch, caplog):
    fine = iter([True, True, True, False])
    name = "edlae_sweeps.methods.descent.fit_output"
    monkeypatch.setattr(name, lambda *args: fit_output(*args) if next(fine) else None)
    model, _ = fitted(deep(), 5)
    assert (model.history.ended, len(model.history.losses)) == ("diverged", 2)
    assert "diverged in epoch 3" in caplog.text
    monkeypatch.setattr(name, lambda *_: None)
    with pytest.raises(SolverError, match="not finite at its start"):
        fitted(deep(), 5)


@pytest.mark.parametrize(("users", "size", "lengths"), [(3, 2, {3}), (10, 3, {3, 4}), (1, 5, {1}), (7, 7, {7})])
def test_batches_are_of_nearly_equal_size(users, size, lengths):
    found = batches(users, size)
    assert [row for rows in found for row in range(rows.start, rows.stop)] == list(range(users))
    assert {rows.stop - rows.start for rows in found} == lengths


MEASURE = """
import sys
import numpy as np
from scipy.sparse import csr_array
sys.path[:0] = {path!r}
from test_network import deep, denoising
from edlae_sweeps import machine
from edlae_sweeps.methods import gradient
n, k = 5000, {k}
random = np.random.default_rng(0)
X = csr_array((np.ones(60000, np.float32), (random.integers(0, 2000, 60000), random.integers(0, n, 60000))), (2000, n))
X.sum_duplicates()
gram = np.ones((n, n), np.float32)
method = {method}
def run(k):
    method.at_rank(method.learn(X, gram, np.ones(n), k), k)
run(1)
before = machine.peak_memory()
run(k)
print(machine.peak_memory() - before, method.peak_bytes(n, k, 4) - gram.nbytes)
"""


@pytest.mark.parametrize("method", ["deep(epochs=1, hidden=[8], batch=500)", "denoising(epochs=1, batch=500)"])
def test_memory_estimate_covers_what_is_used(method):
    script = MEASURE.format(path=[*sys.path, "tests/methods"], k=300, method=method)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    measured, estimate = map(int, done.stdout.split())
    assert measured <= 1.1 * estimate
    assert estimate <= 2 * measured
