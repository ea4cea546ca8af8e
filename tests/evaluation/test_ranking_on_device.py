"""Evaluation on PyTorch's arrays gives the metrics of the CPU, user by user."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array

from edlae_sweeps.datasets import HeldOut
from edlae_sweeps.errors import DeviceMemoryError, SolverError
from edlae_sweeps.evaluation import Popularity, evaluate, evaluate_nested, ranking
from edlae_sweeps.models import Encoder, FullRank, Layer, LowRank, Network
from edlae_sweeps.resources import GIB, Resources

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

CPU = Resources(2, 8 * GIB)
TORCH = replace(CPU, device="torch")
N, K = 150, 20


def held_out() -> HeldOut:
    X = np.random.default_rng(0).random((700, N)) < 0.08
    fold_in = X & (np.random.default_rng(1).random(X.shape) < 0.8)
    return HeldOut(*(csr_array(part.astype(np.float32)) for part in (fold_in, X & ~fold_in)), first_user=40)


def models() -> dict[str, object]:
    random = np.random.default_rng(2)
    U, V, B = (random.standard_normal(shape).astype(np.float32) for shape in ((N, K), (N, K), (N, N)))
    # Equal scores for half of the items: ties.
    V[::2] = V[0]
    encoder = Encoder([Layer(U, np.zeros(K, np.float32))], "tanh", last_linear=False)
    return {
        "low rank": LowRank(U, V),
        "full rank": FullRank(B, np.ones(N)),
        "network": Network(encoder, V),
        "popularity": Popularity(np.arange(N) // 10),
    }


@pytest.mark.parametrize("name", models())
def test_every_model_has_the_metrics_of_the_cpu(name, monkeypatch):
    data, model = held_out(), models()[name]
    further = {"metrics": ["ndcg_10_tail", "recall_20_unbiased", "coverage_20"], "item_counts": np.arange(N)}
    expected = evaluate(model, data, resources=CPU, **further)
    steps = []
    monkeypatch.setattr(ranking, "_DEVICE_BYTES", 100 * 8 * N)
    found = evaluate(model, data, lambda *step: steps.append(step), TORCH, **further)
    assert found.overall == expected.overall
    assert len(steps) > 1
    for metric, values in expected.arrays().items():
        np.testing.assert_array_equal(found.arrays()[metric], values, err_msg=metric)


def test_nested_ranks_have_the_metrics_of_the_cpu():
    data, model = held_out(), models()["low rank"]
    expected, found = (evaluate_nested(model, [3, K], data, resources=where) for where in (CPU, TORCH))
    for rank in (3, K):
        np.testing.assert_allclose(found[rank].values["ndcg_100"], expected[rank].values["ndcg_100"], atol=1e-6)


def test_scores_that_are_not_finite_are_refused():
    model = models()["low rank"]
    model.V[3] = np.inf
    with pytest.raises(SolverError, match="not finite"):
        evaluate(model, held_out(), resources=TORCH)


def test_a_device_that_is_too_small_for_the_scores_leaves_them_to_the_cpu(monkeypatch, caplog):
    def fail(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    data, model = held_out(), models()["low rank"]
    expected = evaluate(model, data, resources=CPU)
    monkeypatch.setattr("edlae_sweeps.linalg.torch_backend.Torch.top_items", fail)
    with pytest.raises(DeviceMemoryError):
        evaluate(model, data, resources=TORCH)
    found = evaluate(model, data, resources=replace(TORCH, may_fall_back=True))
    assert "the CPU takes over" in caplog.text
    np.testing.assert_array_equal(found.values["ndcg_100"], expected.values["ndcg_100"])
