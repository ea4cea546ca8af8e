"""Every method on PyTorch's arrays gives what it gives on NumPy's. A GPU runs the same code."""

from dataclasses import replace

import numpy as np
import pytest
from cases import topics, training

from edlae_sweeps.errors import ConfigError, DeviceMemoryError
from edlae_sweeps.evaluation import weight_metrics
from edlae_sweeps.linalg import backend_for, device, operator_of
from edlae_sweeps.methods import Admm, Closed, Dan, Deql, Relaxed, Svd, Unconstrained, ZeroDiag
from edlae_sweeps.methods.iterative.zero_diag import inverse_root
from edlae_sweeps.models.best import best_items, on_device
from edlae_sweeps.resources import GIB, Resources

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.torch

CPU = Resources(2, 64 * GIB)
TORCH = replace(CPU, device="torch")
K = 12
METHODS = [
    Closed(l2=3, dropout=0.2),
    Closed(l2=3, dropout=0.2, eig_tol=0),
    Closed(l2=3, dropout=0.2, beta="column_max"),
    Closed(l2=3, dropout=0.2, beta="iterate", beta_iterations=2),
    Relaxed(l2=3, dropout=0.2),
    Unconstrained(l2=3, dropout=0.2),
    Deql(l2=3, dropout=0.2),
    Dan(l2=3, dropout=0.2),
    Dan(l2=3, dropout=0.2, cut="W", member="relaxed"),
    Svd(),
    Svd(row_weights="inverse_activity"),
    Admm(l2=3, dropout=0.2, omega=10, epochs=4),
    ZeroDiag(l2=3, epochs=3),
]


@pytest.mark.parametrize("rank", [K, "full"])
@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_a_device_gives_the_model_and_the_metrics_of_the_cpu(method, rank):
    if rank == "full" and method.limit is None:
        return
    X = topics(300, 120)
    data = {resources: training(X, "float64") for resources in (CPU, TORCH)}
    states = {resources: method.prepare(data[resources], K, resources) for resources in data}
    here, there = (method.fit(states[resources], rank) for resources in (CPU, TORCH))
    assert all(isinstance(array, np.ndarray) for array in there.arrays().values())
    np.testing.assert_allclose(there.scores(data[CPU].X), here.scores(data[CPU].X), atol=1e-7)
    expected = states[CPU].training_metrics(here)
    for name, value in states[TORCH].training_metrics(there).items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-7, err_msg=name)
    weights = [
        weight_metrics(state.data.operator(state.resources), state.penalty, model, state.edlae)
        for state, model in ((states[CPU], here), (states[TORCH], there))
    ]
    assert weights[0].keys() == weights[1].keys()
    for group, values in weights[0].items():
        for name, value in values.items():
            np.testing.assert_allclose(weights[1][group][name], value, rtol=1e-6, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("eig_tol", [0, 1e-8])
def test_g_on_a_device_is_exact_and_restored_bit_by_bit(eig_tol):
    data = training(topics(300, 120))
    gram = data.gram_on("torch")
    assert np.array_equal(gram.numpy(), data.gram)
    Closed(eig_tol=eig_tol).fit(data, K, resources=TORCH)
    assert data.gram_on("torch") is gram
    assert np.array_equal(gram.numpy(), data.gram)


def test_short_memory_on_the_device_gives_the_lean_fit():
    data = training(topics(300, 120))
    short = replace(TORCH, device_memory=2 * data.gram.nbytes)
    lean, plenty = (Closed().fit(data, K, resources=resources) for resources in (short, TORCH))
    assert lean.record.lean
    assert not plenty.record.lean
    np.testing.assert_allclose(lean.scores(data.X), plenty.scores(data.X), atol=2e-3)


def fail(*_: object) -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.50 GiB. GPU 0 has 1 GiB")


@pytest.mark.parametrize("method", [Closed(), Admm(omega=10)], ids=repr)
def test_where_a_device_is_too_small_the_cpu_takes_over_or_one_line_says_so(method, monkeypatch, caplog):
    data = training(topics(300, 120))
    expected = method.fit(data, K, resources=CPU)
    monkeypatch.setattr("edlae_sweeps.linalg.torch_backend.Torch.invert_upper", fail)
    with pytest.raises(
        DeviceMemoryError,
        match=r"^device=cuda: out of memory on the GPU when it needed 1\.50 GiB more: choose device=auto",
    ):
        method.fit(data, K, resources=TORCH)
    state = method.prepare(data, K, replace(TORCH, may_fall_back=True))
    assert "the CPU takes over" in caplog.text
    assert state.resources.device == "cpu"
    np.testing.assert_allclose(method.fit(state, K).scores(data.X), expected.scores(data.X), atol=1e-5)


def test_the_cpu_takes_over_in_an_epoch(monkeypatch, caplog):
    data, method = training(topics(300, 120)), Admm(omega=10, epochs=3)
    expected = method.fit(data, K, resources=CPU)
    state = method.prepare(data, K, replace(TORCH, may_fall_back=True))
    monkeypatch.setattr("edlae_sweeps.linalg.torch_backend.Torch.orthonormal", fail)
    np.testing.assert_allclose(method.fit(state, K).scores(data.X), expected.scores(data.X), atol=1e-5)
    assert "the CPU takes over" in caplog.text


def test_after_a_fallback_in_one_rank_the_others_start_on_the_cpu(monkeypatch):
    data, method, prepared = training(topics(300, 120)), Admm(omega=10, epochs=3), []
    prepare = Admm._prepare
    monkeypatch.setattr(Admm, "_prepare", lambda self, *how: (prepared.append(how[2].device), prepare(self, *how))[1])
    state = method.prepare(data, K, replace(TORCH, may_fall_back=True))
    monkeypatch.setattr("edlae_sweeps.linalg.torch_backend.Torch.orthonormal", fail)
    for rank in (5, 8, K):
        model = method.fit(state, rank)
        assert state.training_metrics(model)["objective"] > 0
    assert prepared == ["torch", "cpu"]
    assert state.resources.device == "cpu"
    assert isinstance(state.edlae.B, np.ndarray)


def test_cuda_needs_a_gpu_and_auto_does_not(monkeypatch):
    monkeypatch.setattr(device, "has_cuda", lambda: False)
    data = training(topics(300, 120))
    with pytest.raises(ConfigError, match="device=cuda: PyTorch sees no such device here"):
        Closed().fit(data, K, resources=replace(CPU, device="cuda"))
    state = Closed().prepare(data, K, replace(CPU, device="auto"))
    assert state.resources.device == "cpu"


def test_an_operator_multiplies_with_arrays_of_numpy():
    data = training(topics(300, 120))
    G = operator_of(data.gram_on("torch"))
    Y = np.random.default_rng(0).random((120, 3))
    np.testing.assert_allclose(G @ Y, data.gram @ Y, rtol=1e-5)
    assert np.array_equal(G[3:7], data.gram[3:7])
    assert np.array_equal(G.diagonal(), data.item_counts)


def test_scores_of_the_best_items_are_read_only_where_they_are_wanted(monkeypatch):
    data = training(topics(300, 120))
    model = on_device(Closed().fit(data, K, resources=CPU), "torch")
    scored = best_items(model, data.X, 10, scored=True)
    assert scored.scores.shape == (300, 10)
    monkeypatch.setattr("edlae_sweeps.linalg.torch_backend.Torch.taken", fail)
    assert np.array_equal(best_items(model, data.X, 10).items, scored.items)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_inverse_roots_are_made_on_the_device(dtype, monkeypatch):
    a = np.random.default_rng(0).standard_normal((50, 6)).astype(dtype)
    a[:, 5] = a[:, 4]
    calls, backend = [], backend_for("torch")
    eigenpairs = backend.eigenpairs

    def counted(m: object, *rest: object, **named: object) -> object:
        calls.append(m)
        return eigenpairs(m, *rest, **named)

    monkeypatch.setattr(backend, "eigenpairs", counted)
    here, there = (inverse_root(array, array) for array in (a, torch.from_numpy(a)))
    assert len(calls) == 1
    assert there.dtype == torch.from_numpy(a).dtype
    expected = np.linalg.pinv(a.T.astype(np.float64) @ a)
    for R in (here, there.numpy()):
        np.testing.assert_allclose(R @ R.T, expected, atol=1e-5)
