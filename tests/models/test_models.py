"""What every model can do without files: score, describe itself, and keep its arrays."""

from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from examples import KINDS, NAMES, K, N, examples
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.special import erf

from edlae_sweeps.datasets import TrainingData
from edlae_sweeps.errors import DataError
from edlae_sweeps.methods.closed.inverse import solve_full_rank
from edlae_sweeps.models import Encoder, FullRank, Layer, LowRank, Network

FOLD_IN = csr_array((np.random.default_rng(1).random((6, N)) < 0.4).astype(np.float32))


def test_scores_are_products_with_the_weights():
    models, X = examples(), FOLD_IN.toarray()
    low, full, network, _, cosine = (models[kind] for kind in KINDS)
    np.testing.assert_allclose(low.scores(FOLD_IN), X @ low.U @ low.V.T, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(full.scores(FOLD_IN), X @ full.B, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(cosine.scores(FOLD_IN), X @ (cosine.A @ cosine.A.T - np.eye(N)), rtol=1e-5, atol=1e-6)
    Z = X
    for layer in network.encoder.layers:
        a = Z @ layer.W + layer.b
        Z = a * (1 + erf(a / np.sqrt(2))) / 2
    np.testing.assert_allclose(network.scores(FOLD_IN), Z @ network.V.T, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_scores_are_a_new_array_in_the_type_of_the_model(kind, dtype):
    model, fold_in = examples(dtype)[kind], FOLD_IN.astype(dtype)
    scores = model.scores(fold_in)
    assert scores.shape == (6, N)
    assert scores.dtype == model.dtype == dtype
    assert model.n_items == N
    expected = scores.copy()
    scores[:] = np.nan
    np.testing.assert_array_equal(model.scores(fold_in), expected)


def test_arrays_and_sizes():
    models = examples()
    assert {kind: list(model.arrays()) for kind, model in models.items()} == {
        "low rank": ["U", "V"],
        "full rank": ["B", "d"],
        "network": ["W1", "b1", "W2", "b2", "V", "activation", "last_linear"],
        "factorisation": ["V", "alpha"],
        "cosine": ["A"],
    }
    assert {kind: model.size for kind, model in models.items()} == {
        "low rank": 2 * N * K,
        "full rank": N * N + N,
        "network": (N + 1) * 5 + (5 + 1) * K + N * K,
        "factorisation": N * K,
        "cosine": N * K,
    }


def test_factors_are_those_of_the_low_rank_model_alone():
    models = examples()
    U, V = models["low rank"].factors()
    assert U is models["low rank"].U
    assert V is models["low rank"].V
    # The diagonal of a cosine model is no product of factors.
    assert all(model.factors() is None for kind, model in models.items() if kind != "low rank")


def test_cut_takes_the_first_columns_and_keeps_names_and_record():
    model = examples(names=NAMES)["low rank"]
    smaller = model.cut(2)
    assert smaller.rank == 2
    assert np.array_equal(smaller.U, model.U[:, :2])
    assert np.array_equal(smaller.V, model.V[:, :2])
    assert smaller.item_names is model.item_names
    assert model.rank == K


@pytest.mark.parametrize("kind", KINDS)
def test_models_are_immutable(kind):
    model = examples()[kind]
    for name in ("item_names", "record", *(["encoder"] if kind == "network" else model.arrays())):
        with pytest.raises(FrozenInstanceError):
            setattr(model, name, None)
    # Naming the items makes another model that shares the arrays.
    named = model.named(np.array(NAMES))
    assert named.item_names.tolist() == NAMES
    assert model.item_names is None
    assert all(np.shares_memory(named.arrays()[name], a) for name, a in model.arrays().items() if a.ndim)


def test_models_are_equal_by_identity_and_hashable():
    first, second = examples()["low rank"], examples()["low rank"]
    assert first == first
    assert first != second
    assert len({first, second}) == 2


def test_reprs_are_one_short_line():
    reprs = {kind: repr(model) for kind, model in examples().items()}
    assert reprs == {
        "low rank": "LowRank(7 items, rank 3, float32)",
        "full rank": "FullRank(7 items, full rank, float32)",
        "network": "Network(7 items, layers 5–3, gelu, float32)",
        "factorisation": "Factorisation(7 items, rank 3, alpha 5, float32)",
        "cosine": "Cosine(7 items, rank 3, float32)",
    }


@given(st.integers(0, 2**31))
def test_training_metrics_agree_with_the_scores(seed):
    X = (np.random.default_rng(seed).random((12, N)) < 0.5).astype(float)
    data, penalty = TrainingData(X, "float64"), np.full(N, 2.0)
    models = examples("float64")
    for model in (models["low rank"], models["cosine"], solve_full_rank(data.gram, penalty)):
        metrics = model.training_metrics(data.gram, penalty)
        assert list(metrics) == ["squared_error", "objective"]
        expected = np.sum((X - model.scores(data.X)) ** 2)
        np.testing.assert_allclose(metrics["squared_error"], expected, rtol=1e-9, atol=1e-9)


def test_training_metrics_need_a_linear_model_with_d():
    G, penalty = np.eye(N), np.ones(N)
    assert examples()["network"].training_metrics(G, penalty) == {}
    assert examples()["factorisation"].training_metrics(G, penalty) == {}
    with pytest.raises(DataError, match=r"has no d, .*fit it again"):
        FullRank(np.eye(N), np.full(N, np.nan)).training_metrics(G, penalty)


def test_a_network_with_a_single_linear_layer_is_a_low_rank_model():
    low = examples("float64")["low rank"]
    network = Network(Encoder([Layer(low.U, np.zeros(K))], "relu", last_linear=True), low.V)
    fold_in = FOLD_IN.astype(float)
    np.testing.assert_allclose(network.scores(fold_in), LowRank(low.U, low.V).scores(fold_in), atol=1e-12)
