import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_array, csc_matrix, csr_array, csr_matrix

from edlae_sweeps.datasets import TrainingData
from edlae_sweeps.errors import ConfigError, DataError
from edlae_sweeps.resources import GIB, Resources


def random_matrix(seed: int = 0, users: int = 9, items: int = 5) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.where(random.random((users, items)) < 0.5, random.integers(-3, 4, (users, items)), 0)


@given(seed=st.integers(0, 2**31), users=st.integers(1, 20), items=st.integers(1, 20))
def test_gram_counts_and_sizes_are_those_of_the_dense_matrix(seed, users, items):
    X = random_matrix(seed, users, items)
    data = TrainingData(X)
    assert np.array_equal(data.gram, X.T @ X)
    assert np.array_equal(data.item_counts, (X.T @ X).diagonal())
    assert data.item_counts.dtype == np.float64
    assert (data.shape, data.n_items, data.events) == (X.shape, items, np.count_nonzero(X))


@pytest.mark.parametrize("dtype", ["float32", np.float64])
@pytest.mark.parametrize("kind", [csr_array, csr_matrix, csc_matrix, coo_array, np.asarray, np.ndarray.tolist])
@pytest.mark.parametrize("given", [np.int8, np.float32, np.float64])
def test_every_kind_of_matrix_gives_the_same_data(kind, given, dtype):
    X = random_matrix().astype(given)
    data = TrainingData(kind(X), dtype)
    assert isinstance(data.X, csr_array)
    assert data.X.dtype == data.gram.dtype == data.dtype == dtype
    assert data.gram.flags.c_contiguous
    assert np.array_equal(data.X.toarray(), X)
    assert np.array_equal(data.gram, X.T @ X)


def test_a_canonical_csr_matrix_in_the_same_type_is_not_copied():
    X = csr_array(random_matrix(), dtype=np.float32)
    assert np.shares_memory(TrainingData(X).X.data, X.data)


def test_repeated_entries_are_summed_and_stored_zeros_are_dropped():
    X = csr_array((np.array([1, 2, 0], np.float32), np.array([1, 1, 0]), np.array([0, 3])), shape=(1, 2))
    data = TrainingData(X)
    assert data.X.toarray().tolist() == [[0, 3]]
    assert data.item_counts.tolist() == [0, 9]
    assert data.events == 1
    # The caller's matrix is unchanged.
    assert X.data.tolist() == [1, 2, 0]


def test_gram_is_made_once_by_the_given_function():
    calls = []

    def make() -> np.ndarray:
        calls.append(1)
        return np.asfortranarray(np.arange(4.0).reshape(2, 2))

    data = TrainingData(np.eye(2), gram=make)
    assert calls == []
    assert data.gram is data.gram
    assert calls == [1]
    assert data.gram.dtype == np.float32
    assert data.gram.flags.c_contiguous
    assert data.gram.tolist() == [[0, 1], [2, 3]]


def test_a_gram_matrix_in_the_right_type_is_not_copied():
    gram = np.eye(2, dtype=np.float32)
    assert TrainingData(np.eye(2), gram=lambda: gram).gram is gram


def test_a_gram_matrix_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"gram has shape \(3, 3\), but X has 2 items"):
        _ = TrainingData(np.eye(2), gram=lambda: np.eye(3)).gram


@pytest.mark.parametrize("names", [["a", "b"], np.array(["a", "b"]), np.array(["a", "b"], dtype=object), (7, 9)])
def test_item_names_become_an_array(names):
    data = TrainingData(np.eye(2), item_names=names)
    assert data.item_names.tolist() == list(names)
    assert data.item_names.dtype != object
    assert TrainingData(np.eye(2)).item_names is None


@pytest.mark.parametrize(
    ("X", "names", "message"),
    [
        (np.eye(3), ["a", "b"], "item_names has 2 names for 3 items"),
        (np.eye(3), [["a"], ["b"], ["c"]], "give a flat list"),
        (np.eye(3), ["a", "b", "a"], "item_names has a more than once"),
        (np.ones(3), None, r"X has shape \(3,\)"),
        (np.array([["a"]]), None, "X holds <U1: give numbers"),
        (np.array([[1j]]), None, "X holds complex128: give numbers"),
        (np.array([[np.nan, 1.0]]), None, "not finite in float32"),
        (csr_array(np.array([[np.inf]])), None, "not finite in float32"),
        (np.array([[1e300]]), None, "not finite in float32"),
    ],
)
def test_bad_data_is_refused(X, names, message):
    with pytest.raises(DataError, match=message):
        TrainingData(X, item_names=names)


def test_other_types_than_float32_and_float64_are_refused():
    with pytest.raises(ConfigError, match="dtype=float16: choose float32 or float64"):
        TrainingData(np.eye(2), "float16")


def test_attributes_cannot_be_set():
    data = TrainingData(np.eye(2))
    for name in ("X", "dtype", "item_names", "shape", "n_items", "events"):
        with pytest.raises(AttributeError):
            setattr(data, name, None)


def test_reprs_show_sizes_and_no_arrays(debian):
    assert repr(TrainingData(np.eye(2))) == "TrainingData(2 users, 2 items, 2 events, float32)"
    assert repr(TrainingData(np.eye(2), item_names=["a", "b"])).startswith("TrainingData(2 users, 2 named items")
    assert repr(debian).startswith("Prepared(16037 training users, 2 × 2000 held-out users, 5418 items, 205517 events")
    assert repr(debian.test).startswith("HeldOut(2000 users, 5418 items, ")


def test_the_gram_matrix_of_a_data_set_is_that_of_the_cache(debian, debian_gram):
    data = TrainingData(debian.train, item_names=debian.item_names)
    assert np.array_equal(data.gram, debian_gram)
    assert np.array_equal(data.item_counts, debian_gram.diagonal())
    assert np.shares_memory(data.X.data, debian.train.data)


def test_another_operator_serves_where_g_is_only_multiplied_with():
    data = TrainingData(random_matrix())
    operator = TrainingData(random_matrix(1)).gram
    changed = data.with_operator(operator)
    assert changed.operator(Resources(1, GIB)) is operator
    # What was made so far is shared.
    gram = data.gram
    assert data.with_operator(operator).gram is gram
    assert changed.X is data.X
