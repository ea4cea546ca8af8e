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
from edlae_sweeps.models import FullRank, LowRank, Model, best, load_model

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
        np.testing.assert_allclose(values[: len(alone)], [score for _, score in alone], rtol=1e-5)
        assert items[len(alone) :] == [-1] * (4 - len(alone))
        assert values[len(alone) :] == [-np.inf] * (4 - len(alone))


@given(seed=st.integers(0, 2**31), users=st.integers(1, 20), k=st.integers(1, 30), size=st.integers(1, 2000))
def test_blocks_of_any_size_give_the_same(seed, users, k, size):
    random = np.random.default_rng(seed)
    # Few distinct weights, so that scores tie.
    B = random.integers(-2, 3, (15, 15)).astype(np.float64)
    X = (random.random((users, 15)) < 0.3).astype(np.float64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(best, "_BATCH_BYTES", size)
        patch.setattr(best, "_SMALL_BYTES", 0)
        columns, _ = FullRank(B, np.ones(15)).recommend_many(csr_array(X), k)
    for row, items in zip(X, columns.tolist(), strict=True):
        order = sorted(np.flatnonzero(row == 0), key=lambda item, scores=row @ B: (-scores[item], item))[:k]
        assert items == order + [-1] * (min(k, 15) - len(order))


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


def test_no_user_gets_no_rows():
    columns, scores = examples()["low rank"].recommend_many(csr_array((0, N), dtype=np.float32), 3)
    assert columns.shape == scores.shape == (0, 3)


def test_scores_that_are_not_finite_are_refused():
    model = LowRank(np.full((N, 1), np.nan), np.ones((N, 1)))
    with pytest.raises(SolverError, match="not finite"):
        model.recommend([0])


@pytest.mark.parametrize("kind", ["low rank", "full rank"])
def test_contributions_add_up_to_the_score(kind):
    model = examples("float64")[kind]
    basket, items = np.array([1, 2, 5]), np.array([0, 6])
    contributions = model.contributions(basket, items)
    assert contributions.shape == (3, 2)
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
