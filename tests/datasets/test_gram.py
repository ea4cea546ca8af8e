import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_array, coo_matrix, csc_matrix, csr_array, random_array

from edlae_sweeps.datasets import gram as gram_module
from edlae_sweeps.datasets import gram_matrix
from edlae_sweeps.datasets.gram import dense_gram, sparse_gram


@given(seed=st.integers(0, 2**31), users=st.integers(1, 30), items=st.integers(1, 30))
def test_the_gram_matrix_is_the_product(seed, users, items):
    X = (np.random.default_rng(seed).random((users, items)) < 0.3).astype(np.float32)
    for dtype in ("float32", "float64"):
        gram = dense_gram(sparse_gram(csr_array(X)), dtype)
        assert gram.dtype == dtype
        assert np.array_equal(gram, X.T @ X)


def test_a_gram_matrix_built_in_blocks_reports_progress(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gram_module, "_BLOCK", 7)
    X = (np.random.default_rng(0).random((40, 20)) < 0.3).astype(np.float32)
    steps = []
    assert np.array_equal(dense_gram(sparse_gram(csr_array(X), lambda *step: steps.append(step)), "float64"), X.T @ X)
    assert steps == [(7, 20), (14, 20), (20, 20)]


def test_weights_are_refused_and_not_truncated_to_integers():
    with pytest.raises(ValueError, match="not binary"):
        sparse_gram(csr_array(np.array([[0.5, 1.0]])))


def test_the_trace_of_the_debian_gram_matrix(debian_gram, golden):
    assert debian_gram.trace(dtype=np.float64) == golden["train_trace_gram"]


@pytest.mark.parametrize("block", [3, 2048])
@pytest.mark.parametrize("kind", [csr_array, coo_array, csc_matrix, coo_matrix, np.asarray])
@pytest.mark.parametrize("given", [np.int64, np.float64, bool])
def test_any_scipy_matrix_of_any_type_has_a_gram_matrix(kind, given, block, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gram_module, "_BLOCK", block)
    X = (np.random.default_rng(0).random((9, 5)) < 0.5).astype(given)
    gram = gram_matrix(kind(X))
    assert gram.dtype == np.float32
    assert np.array_equal(gram, X.astype(float).T @ X.astype(float))
    weights = 0.5 * X
    np.testing.assert_allclose(gram_matrix(kind(weights), "float64"), weights.T @ weights)


def test_the_dense_array_is_filled_without_another_of_its_size():
    upper = csr_array(random_array((1500, 1500), density=0.001, dtype=np.int32, rng=np.random.default_rng(0)))
    tracemalloc.start()
    try:
        gram = dense_gram(upper, "float32")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1.8 * gram.nbytes
