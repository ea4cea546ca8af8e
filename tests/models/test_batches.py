"""Recommendations for many users at once, popular items, and what each item of a basket contributes."""

import logging
import tracemalloc

import numpy as np
import pytest
from examples import KINDS, NAMES, N, examples
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array, random_array

from edlae_sweeps.errors import ConfigError, DataError, SolverError
from edlae_sweeps.methods import METHODS
from edlae_sweeps.models import Cosine, Encoder, FullRank, Layer, LowRank, Model, Network, best, load_model

COUNTS = np.array([3.0, 9, 1, 9, 4, 0, 2])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("exclude_known", [True, False])
def test_each_row_gets_what_it_gets_alone(kind, exclude_known):
    model = examples()[kind]
    X = (np.random.default_rng(2).random((40, N)) < 0.4).astype(np.float32)
    X[:, 0] = 1
    columns, scores = model.recommend_many(csr_array(X), 4, exclude_known)
    assert columns.shape == scores.shape == (40, 4)
    for row, items, values in zip(X, columns.tolist(), scores.tolist(), strict=True):
        alone = model.recommend(np.flatnonzero(row).tolist(), 4, exclude_known)
        assert [item for item in items if item >= 0] == [item for item, _ in alone]
        np.testing.assert_allclose(values[: len(alone)], [score for _, score in alone], rtol=1e-5, atol=1e-6)
        assert items[len(alone) :] == [-1] * (4 - len(alone))
        assert values[len(alone) :] == [-np.inf] * (4 - len(alone))


def whole_numbers(kind: str, seed: int, n: int) -> Model:
    """A model of few distinct weights, so that scores are exact and tie."""
    random = np.random.default_rng(seed)

    def weights(*shape: int) -> np.ndarray:
        return random.integers(-2, 3, shape).astype(np.float32)

    if kind == "full rank":
        return FullRank(weights(n, n), np.ones(n))
    if kind == "cosine":
        return Cosine(weights(n, 2))
    if kind == "low rank":
        return LowRank(weights(n, 2), weights(n, 2))
    return Network(Encoder([Layer(weights(n, 2), weights(2))], "relu", last_linear=False), weights(n, 2))


@given(
    seed=st.integers(0, 2**31),
    # A factorisation has no whole numbers: it solves.
    kind=st.sampled_from([kind for kind in KINDS if kind != "factorisation"]),
    n=st.integers(1, 60),
    users=st.integers(1, 20),
    k=st.integers(1, 70),
    exclude_known=st.booleans(),
    block=st.integers(1, 20),
    few=st.integers(0, 100),
    size=st.integers(1, 2000),
)
def test_blocks_of_users_and_items_give_what_a_sort_gives(seed, kind, n, users, k, exclude_known, block, few, size):
    model = whole_numbers(kind, seed, n)
    X = (np.random.default_rng(seed).random((users, n)) < 0.3).astype(np.float32)
    scores = model.scores(csr_array(X))
    with pytest.MonkeyPatch.context() as patch:
        sizes = {"_BATCH_BYTES": size, "_SMALL_BYTES": size % 7 * 100, "WIDE": 2, "BLOCK": block, "FEW": few}
        for name, value in sizes.items():
            patch.setattr(best, name, value)
        columns, values = model.recommend_many(csr_array(X), k, exclude_known)
    assert (columns.shape, values.shape, values.dtype) == ((users, min(k, n)), (users, min(k, n)), np.float32)
    for row, user, items, best_scores in zip(X, scores, columns.tolist(), values.tolist(), strict=True):
        allowed = np.flatnonzero(row == 0) if exclude_known else np.arange(n)
        order = sorted(allowed.tolist(), key=lambda item, user=user: (-user[item], item))[:k]
        padding = min(k, n) - len(order)
        assert items == order + [-1] * padding
        assert best_scores == user[order].tolist() + [-np.inf] * padding


def test_memory_does_not_grow_with_the_users():
    random = np.random.default_rng(0)
    model = LowRank(random.random((2000, 4)).astype("f"), random.random((2000, 4)).astype("f"))
    rows = csr_array(random_array((40_000, 2000), density=0.002, rng=random, dtype=np.float32))
    tracemalloc.start()
    model.recommend_many(rows, 5)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # The scores of all users would take 320 MB.
    assert peak < 4.5 * best._BATCH_BYTES < 0.95 * 320e6


@pytest.mark.parametrize("users", [1, 3, 300])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_memory_does_not_grow_with_the_items(users, dtype):
    n, random = 200_000, np.random.default_rng(0)
    U, V = random.standard_normal((2, n, 30), dtype=np.float32)
    model = LowRank(U, V)
    ones = np.ones(20 * users, dtype)
    rows = csr_array((ones, random.integers(0, n, 20 * users), 20 * np.arange(users + 1)), shape=(users, n))
    tracemalloc.start()
    columns, _ = model.recommend_many(rows, 100)
    similar = model.similar(columns[0, 0], 5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # A copy of U takes 24 MB, all scores of 300 users 240 MB.
    assert peak < (18e6 if users <= 3 else 2.5 * best._BATCH_BYTES)
    assert len(similar) == 5


def test_a_score_of_the_last_block_that_is_not_finite_is_refused(monkeypatch):
    for name, value in (("WIDE", 2), ("BLOCK", 3), ("FEW", 0)):
        monkeypatch.setattr(best, name, value)
    V = np.ones((10, 1))
    V[9] = np.nan
    with pytest.raises(SolverError, match="not finite"):
        LowRank(np.ones((10, 1)), V).recommend([0], k=2)


def test_no_user_gets_no_rows():
    columns, scores = examples()["low rank"].recommend_many(csr_array((0, N), dtype=np.float32), 3)
    assert columns.shape == scores.shape == (0, 3)


def test_scores_that_are_not_finite_are_refused():
    model = LowRank(np.full((N, 1), np.nan), np.ones((N, 1)))
    with pytest.raises(SolverError, match="not finite"):
        model.recommend([0])


@pytest.mark.parametrize("kind", ["low rank", "full rank", "factorisation", "cosine"])
def test_contributions_add_up_to_the_score(kind):
    model = examples("float64")[kind]
    basket, items = np.array([1, 2, 5]), np.array([0, 5, 6])
    contributions = model.contributions(basket, items)
    assert contributions.shape == (3, 3)
    row = np.zeros((1, N))
    row[0, basket] = 1
    np.testing.assert_allclose(contributions.sum(axis=0), model.scores(csr_array(row))[0, items])


def test_a_network_has_no_contributions():
    with pytest.raises(ConfigError, match=r"explain=true: .*choose explain=false"):
        examples()["network"].contributions(np.array([0]), np.array([1]))


def popular_model(names: list[str] | None = None) -> Model:
    return examples()["low rank"].described(None if names is None else np.array(names), COUNTS)


@pytest.mark.parametrize("basket", [[], ["x", "y"]])
def test_a_basket_without_a_known_item_gets_the_popular_items(basket, caplog):
    with caplog.at_level(logging.WARNING):
        recommended = popular_model(NAMES).recommend(basket, k=3)
    assert recommended == [(NAMES[1], 9), (NAMES[3], 9), (NAMES[4], 4)]
    assert "these are the most popular items" in caplog.records[-1].getMessage()


def test_popular_items_need_counts():
    assert popular_model().popular(2) == [(1, 9), (3, 9)]
    assert len(popular_model().popular(100)) == N
    with pytest.raises(DataError, match="the model has no counts of its items"):
        examples()["low rank"].popular()
    with pytest.raises(ValueError, match="k=0"):
        popular_model().popular(0)


@pytest.mark.parametrize("name", ["model", "model.npz"])
def test_counts_are_saved(name, tmp_path):
    loaded = load_model(popular_model(NAMES).save(tmp_path / name))
    assert loaded.item_counts.tolist() == COUNTS.tolist()
    assert loaded.popular(2) == popular_model(NAMES).popular(2)


def test_a_fitted_model_knows_what_is_popular():
    X = np.array([[1, 1, 0], [1, 0, 1], [1, 1, 0], [0, 1, 1.0], [1, 0, 0]])
    model = METHODS["closed"](l2=1).fit(X, 2, item_names=["a", "b", "c"])
    assert model.popular(3) == [("a", 4), ("b", 3), ("c", 2)]


def test_a_model_of_one_item_has_no_similar_items():
    assert LowRank(np.ones((1, 1)), np.ones((1, 1))).similar(0) == []
