"""Selection of the best items."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edlae_sweeps.linalg import top_items, topk


def by_sorting(scores: np.ndarray, depth: int) -> list[list[int]]:
    """Best first; ties go to the lower index."""
    return [np.lexsort((np.arange(len(row)), -row))[:depth].tolist() for row in scores]


@given(
    seed=st.integers(0, 2**31), n=st.integers(1, 300), depth=st.integers(1, 120), levels=st.sampled_from([1, 4, 10**6])
)
def test_top_items_break_ties_by_the_lower_index(seed, n, depth, levels):
    scores = np.random.default_rng(seed).integers(0, levels, (4, n)).astype(np.float32)
    scores[0, : n // 2] = -np.inf
    assert top_items(scores, depth).tolist() == by_sorting(scores, depth)


@given(
    seed=st.integers(0, 2**31),
    n=st.integers(1, 300),
    depth=st.integers(1, 40),
    levels=st.sampled_from([1, 4, 60, 10**6]),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_groups_change_nothing(seed, n, depth, levels, dtype):
    random = np.random.default_rng(seed)
    scores = random.integers(0, levels, (6, n)).astype(dtype)
    # Rows with ties at every place, with few items that count, and in descending order.
    scores[0] = 0
    scores[1, random.random(n) < 0.9] = -np.inf
    scores[2] = -np.arange(n)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(topk, "_GROUPS", 1)
        assert top_items(scores, depth).tolist() == by_sorting(scores, depth)


@pytest.mark.parametrize("users", [0, 1, 7])
def test_wide_rows(users):
    scores = np.random.default_rng(users).standard_normal((users, 3_001), dtype=np.float32)
    assert top_items(scores, 100).tolist() == by_sorting(scores, 100)


def test_ties_everywhere_take_no_more_memory_than_the_scores():
    scores = np.zeros((200, 20_000), dtype=np.float32)
    tracemalloc.start()
    items = top_items(scores, 100)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (items == np.arange(100)).all()
    assert peak < 2 * scores.nbytes
