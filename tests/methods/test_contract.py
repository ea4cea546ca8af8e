"""The contract of a method: options, `prepare`, `fit` and `estimate`, for every registered method."""

import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
from cases import EXTRAS, LINEAR_CASES, PLENTY, TRAINED, deep, topics, training
from scipy.sparse import coo_array, csc_matrix, csr_array, csr_matrix

from edlae_sweeps.datasets import TrainingData
from edlae_sweeps.errors import ConfigError
from edlae_sweeps.methods import (
    METHODS,
    Admm,
    AdmmPublished,
    Closed,
    Dan,
    Deep,
    Deql,
    Relaxed,
    Svd,
    Unconstrained,
    ZeroDiag,
)
from edlae_sweeps.resources import GIB, Resources

TRAINED_CASES = [
    pytest.param(
        method,
        id=repr(method),
        marks=[
            *([pytest.mark.torch] if extra == "torch" else []),
            pytest.mark.skipif(find_spec(extra) is None, reason=f"needs the extra {extra}"),
        ],
    )
    for name, extra in EXTRAS.items()
    for method in TRAINED[name]
]
CASES = [*(pytest.param(method, id=repr(method)) for method in LINEAR_CASES), *TRAINED_CASES]
FAMILY = [Closed(), Closed(beta="column_max"), Unconstrained(), Relaxed(), Deql(), Dan(), Dan(cut="W", beta=0)]
USERS, ITEMS = 300, 100
NAMES = [f"item {number}" for number in range(ITEMS)]


@pytest.fixture(scope="module", name="X")
def training_matrix() -> np.ndarray:
    """Of full rank, since every item also has a user of its own."""
    return np.vstack([topics(USERS - ITEMS, ITEMS), np.eye(ITEMS)])


def arrays_equal(first, second) -> bool:
    arrays, expected = first.arrays(), second.arrays()
    # Some full-rank models have no d; text has no NaN.
    return arrays.keys() == expected.keys() and all(
        np.array_equal(array, expected[name], equal_nan=array.dtype.kind == "f") for name, array in arrays.items()
    )


@pytest.mark.parametrize("method", CASES)
def test_a_state_refuses_ranks_that_it_was_not_prepared_for(method, X):
    state = method.prepare(training(X), 80, PLENTY)
    assert method.fit(state, 80).n_items == ITEMS
    with pytest.raises(ConfigError, match=r"rank=81: .* up to 80; prepare with max_rank=81"):
        method.fit(state, 81)
    for rank in (0, -1, True, 2.0, None, "80"):
        with pytest.raises(ConfigError, match=f"rank={rank}: "):
            method.fit(state, rank)
    if method.limit is None:
        with pytest.raises(ConfigError, match="rank=full"):
            method.fit(state, "full")
    else:
        assert method.fit(state, "full").factors() is None


@pytest.mark.parametrize("method", CASES)
def test_a_state_for_the_full_rank_alone(method, X):
    data = training(X)
    if method.limit is None:
        with pytest.raises(ConfigError, match="rank=full"):
            method.fit(data, "full", resources=PLENTY)
        return
    state = method.prepare(data, 0, PLENTY)
    assert arrays_equal(method.fit(state, "full"), method.fit(data, "full", resources=PLENTY))
    with pytest.raises(ConfigError, match="rank=5: this state was prepared for ranks up to 0"):
        method.fit(state, 5)


@pytest.mark.parametrize("method", CASES)
@pytest.mark.parametrize("max_rank", [ITEMS + 1, -1, True, 1.0, "full", None])
def test_prepare_refuses_ranks_that_the_data_can_not_have(method, max_rank, X):
    with pytest.raises(ConfigError, match=f"max_rank={max_rank}: choose a whole number from 0 to {ITEMS}"):
        method.prepare(training(X), max_rank, PLENTY)


@pytest.mark.parametrize("method", CASES)
def test_fit_is_prepare_and_fit_and_restores_g(method, X):
    data = training(X)
    before = data.gram.copy()
    direct = method.fit(data, 10, resources=PLENTY)
    state = method.prepare(data, 10, PLENTY)
    assert arrays_equal(direct, method.fit(state, 10))
    # Nothing of the first fit is left in the state.
    assert arrays_equal(direct, method.fit(state, 10))
    assert data.gram.tobytes() == before.tobytes()


@pytest.mark.parametrize("memory", [64, 0], ids=["dense", "lean"])
@pytest.mark.parametrize("method", FAMILY, ids=repr)
def test_the_family_restores_g_bit_by_bit_in_every_layout(method, memory, X):
    data = training(X, "float32")
    before = data.gram.tobytes()
    model = method.fit(data, 10, resources=Resources(threads=1, memory=memory * GIB))
    assert model.record.lean == (memory == 0)
    assert data.gram.tobytes() == before


@pytest.mark.parametrize("method", CASES)
def test_fit_ranks_gives_the_model_of_each_rank(method, X):
    data = training(X)
    ranks = [10, 2, *(["full"] if method.limit else [])]
    models = method.fit_ranks(data, ranks, resources=PLENTY)
    assert list(models) == ranks
    state = method.prepare(data, 10, PLENTY)
    for rank, model in models.items():
        assert arrays_equal(model, method.fit(state, rank))
    assert all(arrays_equal(model, models[rank]) for rank, model in method.fit_ranks(state, ranks).items())
    if method.nested:
        for factor in ("U", "V"):
            large, small = getattr(models[10], factor), getattr(models[2], factor)
            assert np.array_equal(large[:, :2], small)


@pytest.mark.parametrize("method", CASES)
def test_every_kind_of_matrix_gives_the_same_model(method, X):
    reference = method.fit(TrainingData(X), 3, resources=PLENTY)
    for kind in (np.asarray, csr_array, csr_matrix, csc_matrix, coo_array, np.asfortranarray):
        given = kind(X)
        assert arrays_equal(method.fit(given, 3, resources=PLENTY), reference)
        dense = given if isinstance(given, np.ndarray) else given.toarray()
        assert np.array_equal(dense, X)


@pytest.mark.parametrize("method", CASES)
def test_item_names_reach_the_model(method, X):
    models = [
        method.fit(X, 3, item_names=NAMES, resources=PLENTY),
        method.fit(TrainingData(X, item_names=NAMES), 3, resources=PLENTY),
        *method.fit_ranks(X, [3, 2], item_names=NAMES, resources=PLENTY).values(),
    ]
    assert all(model.item_names.tolist() == NAMES for model in models)
    assert method.fit(X, 3, resources=PLENTY).item_names is None


def test_names_beside_training_data_are_refused(X):
    data, method = TrainingData(X, item_names=NAMES), Closed()
    state = method.prepare(data, 3, PLENTY)
    for given in (data, state):
        with pytest.raises(ConfigError, match="item_names: these data have names"):
            method.fit(given, 3, item_names=NAMES, resources=PLENTY)


@pytest.mark.parametrize("method", [case.values[0] for case in CASES], ids=repr)
def test_an_estimate_is_a_function_of_its_arguments(method, X):
    def no_gram() -> np.ndarray:
        raise AssertionError("an estimate needs no Gram matrix")

    data = TrainingData(X, gram=no_gram)
    few, all_ranks = [5], [5, 60, *(["full"] if method.limit else [])]
    small = method.estimate(data, few, PLENTY)
    assert method.estimate(data, few, PLENTY) == small
    large = method.estimate(data, all_ranks, PLENTY)
    # Other memory may ask for another layout, and changes no later estimate.
    method.estimate(data, few, Resources(threads=1, memory=0))
    assert method.estimate(data, few, PLENTY) == small
    assert large.model_bytes > small.model_bytes
    assert large.bytes > small.bytes
    assert large.products + large.seconds > small.products + small.seconds
    # At least the Gram matrix and the model.
    assert small.bytes >= ITEMS**2 * data.dtype.itemsize + small.model_bytes


@pytest.mark.parametrize("method", [case.values[0] for case in CASES], ids=repr)
def test_less_memory_never_raises_an_estimate(method):
    data = TrainingData(csr_array((9, 2000)))
    peaks = [method.estimate(data, [5], Resources(threads=1, memory=memory)).bytes for memory in (64 * GIB, 0)]
    assert peaks == sorted(peaks, reverse=True)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Closed(l2=-1), r"method\.l2=-1\.0: choose a number from 0"),
        (lambda: Closed(dropout=2), r"method\.dropout=2\.0: choose a probability"),
        (lambda: Closed(beta="zzz"), r"method\.beta=zzz: choose from zero, column_max, iterate"),
        (lambda: Closed(beta=1), r"method\.beta=1: choose from zero"),
        (lambda: Closed(beta=None), r"method\.beta=None: choose from zero"),
        (lambda: Closed(l2="10"), r"method\.l2=10: choose a number"),
        (lambda: Closed(l2=True), r"method\.l2=True: choose a number"),
        (lambda: Closed(dropout=None), r"method\.dropout=None: choose a number"),
        (lambda: Closed(l2=10**400), r"method\.l2=inf: choose a number from 0"),
        (lambda: Closed(beta_iterations=2.0), r"method\.beta_iterations=2\.0: choose a whole number"),
        (lambda: Closed(eig_tol=0.02), r"method\.eig_tol=0\.02: choose a relative gap"),
        (lambda: Closed(eig_tol=-1e-9), r"method\.eig_tol=-1e-09"),
        (lambda: Admm(epochs=True), r"method\.epochs=True: choose a whole number"),
        (lambda: Admm(omega=0), r"method\.omega=0\.0"),
        (lambda: ZeroDiag(seed="0"), r"method\.seed=0: choose a whole number"),
        (lambda: Svd(row_weights="all"), r"method\.row_weights=all: choose from none, inverse_activity"),
        (lambda: Deep(hidden=[10, 2.5]), r"method\.hidden=\[10, 2\.5\]: choose a list, each entry a whole number"),
        (lambda: Deep(last_linear="yes"), r"method\.last_linear=yes: choose true or false"),
    ],
)
def test_options_are_checked_when_they_are_made(make, message):
    with pytest.raises(ConfigError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("options", METHODS.values(), ids=METHODS)
def test_options_have_defaults_and_are_keywords(options):
    assert repr(options()) == f"{options.__name__}()"
    assert hash(options()) == hash(options())
    with pytest.raises(TypeError, match="positional"):
        options(10.0)


def test_equal_options_are_equal_and_print_what_was_chosen():
    assert Closed(l2=10) == Closed(l2=10.0) == Closed(l2=np.float64(10)) == Closed(l2=np.int64(10))
    assert type(Closed(l2=10).l2) is float
    assert type(Closed(l2=np.float32(10)).l2) is float
    assert type(Admm(epochs=np.int64(3)).epochs) is int
    assert Closed(l2=10) != Closed(l2=11)
    assert repr(Closed(l2=10)) == "Closed(l2=10.0)"
    assert repr(Closed()) == "Closed()"
    assert repr(deep(hidden=[3, 4])) == "Deep(epochs=5, batch=50, hidden=(3, 4))"
    assert Closed(l2=10).params() == Closed(l2=10.0).params()
    assert Closed(l2=10).params() == {
        "l2": 10.0, "dropout": 0.33, "eig_tol": 1e-8, "beta": "zero", "beta_iterations": 5,
    }  # fmt: skip
    assert Deep(hidden=[3, 4]).params()["hidden"] == [3, 4]


def test_options_and_states_are_immutable(X):
    method = Closed()
    state = method.prepare(TrainingData(X), 3, PLENTY)
    for target, name in ((method, "l2"), (state, "max_rank"), (state, "penalty")):
        with pytest.raises(AttributeError):
            setattr(target, name, 1)
    # Equal by identity, and without its arrays in print.
    assert state == state
    assert state != method.prepare(TrainingData(X), 3, PLENTY)
    assert repr(state) == f"FamilyState({state.data!r}, max_rank=3)"


def test_the_notebook_line_works_without_frameworks():
    script = """
import sys
import numpy as np
from edlae_sweeps.methods import Closed
X = np.eye(6) + np.eye(6, k=1)
model = Closed(l2=10, dropout=0.1).fit(X, rank=3, item_names=list("abcdef"))
assert len(model.recommend(["a"], k=2)) == len(model.similar("b", k=2)) == 2
loaded = {"hydra", "omegaconf", "mlflow", "optuna", "matplotlib", "rich", "torch"} & set(sys.modules)
sys.exit(", ".join(sorted(loaded)) or 0)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_index_of_numpy_is_a_rank(X):
    method = Closed(l2=5.0, dropout=0.2)
    assert arrays_equal(method.fit(training(X), np.int64(7)), method.fit(training(X), 7))
    assert list(method.fit_ranks(training(X), np.array([3, 7]))) == [3, 7]


def test_a_device_that_the_method_does_not_use_is_refused(X):
    with pytest.raises(ConfigError, match="device=cuda: admm_published runs on the CPU"):
        AdmmPublished().fit(training(X), 5, resources=Resources(1, GIB, "cuda"))
    with pytest.raises(ConfigError, match="device=torch: gram=products runs on the CPU"):
        Closed().fit(training(X).with_products(), 5, resources=Resources(1, GIB, "torch"))
