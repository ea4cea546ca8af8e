"""Recommendations for a basket, by name and by index."""

import logging

import numpy as np
import pytest
from examples import KINDS, NAMES, N, examples
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from edlae_sweeps.errors import DataError
from edlae_sweeps.models import FullRank, LowRank


def fold_in(*columns: int, n: int = N) -> csr_array:
    row = np.zeros((1, n), np.float32)
    row[0, list(columns)] = 1
    return csr_array(row)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("exclude_known", [True, False])
def test_recommendations_are_the_order_of_the_scores(kind, exclude_known):
    model = examples()[kind]
    scores = model.scores(fold_in(1, 4))[0]
    order = [item for item in np.argsort(-scores, kind="stable") if not exclude_known or item not in (1, 4)]
    recommended = model.recommend([4, 1], k=4, exclude_known=exclude_known)
    assert [item for item, _ in recommended] == order[:4]
    np.testing.assert_allclose([score for _, score in recommended], scores[order[:4]])
    assert all(type(item) is int and type(score) is float for item, score in recommended)


@pytest.mark.parametrize("kind", KINDS)
def test_names_stand_for_indices(kind):
    by_index, by_name = examples()[kind], examples(names=NAMES)[kind]
    expected = [(NAMES[item], score) for item, score in by_index.recommend([0, 5], k=5)]
    recommended = by_name.recommend([NAMES[0], NAMES[5]], k=5)
    assert recommended == expected
    assert all(type(item) is str for item, _ in recommended)
    first = recommended[0]
    assert (first.item, first.score) == first


@given(st.integers(0, 2**31), st.integers(1, 30), st.integers(1, 40), st.data())
def test_any_basket_agrees_with_a_full_sort(seed, n, k, data):
    # Few distinct weights, so that scores tie.
    B = np.random.default_rng(seed).integers(-2, 3, (n, n)).astype(np.float64)
    basket = data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=n))
    scores = B[sorted(set(basket))].sum(axis=0)
    # Ties go to the lower index.
    order = sorted(set(range(n)) - set(basket), key=lambda item: (-scores[item], item))
    recommended = FullRank(B, np.ones(n)).recommend(basket, k)
    assert recommended == [(item, scores[item]) for item in order[:k]]


def test_ties_go_to_the_lower_index():
    model = LowRank(np.ones((5, 1)), np.array([[1.0], [2], [1], [2], [1]]))
    assert [item for item, _ in model.recommend([1], k=10, exclude_known=False)] == [1, 3, 0, 2, 4]


@pytest.mark.parametrize("kind", KINDS)
def test_k_above_the_number_of_items_gives_all_of_them(kind):
    model = examples()[kind]
    assert sorted(item for item, _ in model.recommend([2, 3], k=100)) == [0, 1, 4, 5, 6]
    assert len(model.recommend([2, 3], k=100, exclude_known=False)) == N
    assert model.recommend(range(N), k=3) == []


@pytest.mark.parametrize("k", [0, -1])
def test_k_below_1_is_refused(k):
    with pytest.raises(ValueError, match=f"k={k}: choose 1 or more"):
        examples()["low rank"].recommend([0], k=k)


def test_repeated_items_count_once():
    model = examples(names=NAMES)["low rank"]
    assert model.recommend(["plain", "plain"]) == model.recommend(["plain"])


@pytest.mark.parametrize("container", [list, tuple, set, np.array, iter])
def test_a_basket_is_any_collection(container):
    model = examples(names=NAMES)["low rank"]
    assert model.recommend(container(NAMES[:2])) == model.recommend(NAMES[:2])
    unnamed = examples()["low rank"]
    assert unnamed.recommend(container([0, 1])) == unnamed.recommend([0, 1])


def test_unknown_items_are_ignored_with_a_warning(caplog):
    model = examples(names=NAMES)["low rank"]
    with caplog.at_level(logging.WARNING):
        recommended = model.recommend(["plain", *"uvwxyz"])
    assert recommended == model.recommend(["plain"])
    assert [record.getMessage() for record in caplog.records] == ["basket: 6 unknown item(s) ignored: u, v, w, x, y, …"]


@pytest.mark.parametrize(
    ("basket", "message"),
    [
        (["x", "y"], "basket: the model has none of the items x, y"),
        (list("abcdefg"), "none of the items a, b, c, d, e, …"),
        # Items of a model with names do not go by index.
        ([0], "none of the items 0"),
        ([], "basket: it is empty; pass at least one item"),
        ("plain", r"basket='plain': pass a list of items, such as \['plain'\]"),
    ],
)
def test_baskets_without_a_known_item_are_refused(basket, message):
    with pytest.raises(DataError, match=message) as caught:
        examples(names=NAMES)["low rank"].recommend(basket)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("item", [-1, N, 0.5, "0", None])
def test_indices_outside_the_model_are_unknown(item):
    with pytest.raises(DataError, match=f"none of the items {item}"):
        examples()["low rank"].recommend([item])


def cosines(W: np.ndarray, item: int) -> np.ndarray:
    """Cosine of column `item` with every column of W (inputs, n)."""
    norms = np.linalg.norm(W, axis=0)
    return (W.T @ W[:, item]) / (norms * norms[item])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_similar_items_have_the_largest_cosine_of_scores(kind, dtype):
    model = examples(dtype)[kind]
    # The weights from each item, or from each hidden unit of a network, to all items.
    weights = {
        "low rank": lambda: model.U @ model.V.T,
        "full rank": lambda: model.B,
        "network": lambda: model.V.T,
        # The scores of each basket of one item.
        "factorisation": lambda: model.scores(csr_array(np.eye(N, dtype=dtype))),
        "cosine": lambda: model.A @ model.A.T - np.eye(N),
    }
    expected = cosines(weights[kind]().astype(np.float64), 2)
    order = [item for item in np.argsort(-expected) if item != 2]
    similar = model.similar(2, k=4)
    assert [item for item, _ in similar] == order[:4]
    np.testing.assert_allclose([score for _, score in similar], expected[order[:4]], rtol=1e-4, atol=1e-5)
    assert len(model.similar(2)) == N - 1


def test_similar_items_go_by_name_and_are_known():
    by_index, by_name = examples()["low rank"], examples(names=NAMES)["low rank"]
    assert by_name.similar("it's") == [(NAMES[item], score) for item, score in by_index.similar(1)]
    with pytest.raises(DataError, match="none of the items nothing"):
        by_name.similar("nothing")
    with pytest.raises(ValueError, match="k=0: choose 1 or more"):
        by_index.similar(1, k=0)


def test_an_item_that_is_never_recommended_is_similar_to_none():
    model = LowRank(np.ones((3, 1)), np.array([[1.0], [0], [2]]))
    assert model.similar(1) == [(0, 0.0), (2, 0.0)]
    assert model.similar(0) == [(2, pytest.approx(1)), (1, 0.0)]


def test_an_item_of_a_cosine_model_adds_nothing_to_its_own_score():
    model = examples("float64")["cosine"]
    (own,) = [score for item, score in model.recommend([2], k=N, exclude_known=False) if item == 2]
    assert own == pytest.approx(0, abs=1e-12)
    # All other scores are those without the items of the basket.
    scores = dict(model.recommend([2, 4], k=N, exclude_known=False))
    assert dict(model.recommend([2, 4], k=N)) == pytest.approx({item: scores[item] for item in (0, 1, 3, 5, 6)})
