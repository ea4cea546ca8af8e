import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edlae_sweeps.datasets import TrainingData, products
from edlae_sweeps.errors import ConfigError
from edlae_sweeps.resources import GIB, Resources


def matrix(seed: int, users: int, items: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.where(random.random((users, items)) < 0.3, random.integers(-3, 4, (users, items)), 0).astype(float)


@given(seed=st.integers(0, 2**31), users=st.integers(1, 30), items=st.integers(1, 30), columns=st.integers(1, 5))
def test_products_and_diagonal_are_those_of_the_gram_matrix(seed, users, items, columns):
    X, Y = matrix(seed, users, items), np.random.default_rng(seed).standard_normal((items, columns))
    G = TrainingData(X, "float64", by_products=True).operator(Resources(1, GIB))
    np.testing.assert_allclose(G @ Y, X.T @ X @ Y, atol=1e-10)
    np.testing.assert_array_equal(G.diagonal(), (X.T @ X).diagonal())
    # The solvers pass blocks in either order.
    np.testing.assert_array_equal(G @ np.asfortranarray(Y), G @ Y)


@pytest.mark.parametrize("shape", [(0, 5), (3, 0), (4, 5)])
def test_without_events_the_products_are_zero(shape):
    Y = np.ones((shape[1], 2), np.float32)
    np.testing.assert_array_equal(
        TrainingData(np.zeros(shape), by_products=True).operator(Resources(2, GIB)) @ Y, 0 * Y
    )


@pytest.mark.parametrize("threads", [2, 3, 8])
def test_threads_give_the_same_to_the_bit(threads, monkeypatch):
    X = matrix(0, 90, 40)
    # Rows and columns without entries, at the end too.
    X[[3, 4, 89]], X[:, [0, 39]] = 0, 0
    Y = np.random.default_rng(1).standard_normal((40, 6)).astype(np.float32)
    data = TrainingData(X, by_products=True)
    expected = data.operator(Resources(1, GIB)) @ Y
    monkeypatch.setattr(products, "_SMALL", 0)
    np.testing.assert_array_equal(data.operator(Resources(threads, GIB)) @ Y, expected)
    np.testing.assert_allclose(expected, X.T @ X @ Y, rtol=1e-5, atol=1e-4)


def test_data_by_products_have_no_dense_gram_matrix():
    data = TrainingData(matrix(0, 9, 5), item_names=list("abcde"), gram=lambda: pytest.fail("G was made"))
    other = data.with_products()
    assert (data.by_products, other.by_products) == (False, True)
    assert np.shares_memory(other.X.data, data.X.data)
    assert other.item_names.tolist() == list("abcde")
    with pytest.raises(ConfigError, match=r"gram=products: this needs G as a dense array; choose gram=dense"):
        _ = other.gram


def test_the_operator_of_dense_data_is_the_array():
    data = TrainingData(matrix(0, 9, 5))
    assert data.operator(Resources(2, GIB)) is data.gram
