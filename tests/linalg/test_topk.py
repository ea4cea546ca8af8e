"""Selection of the best items."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edlae_sweeps.linalg import top_items


@given(
    seed=st.integers(0, 2**31), n=st.integers(1, 300), depth=st.integers(1, 120), levels=st.sampled_from([1, 4, 10**6])
)
def test_top_items_break_ties_by_the_lower_index(seed, n, depth, levels):
    scores = np.random.default_rng(seed).integers(0, levels, (4, n)).astype(np.float32)
    scores[0, : n // 2] = -np.inf
    expected = [sorted(range(n), key=lambda item, row=row: (-row[item], item))[:depth] for row in scores]
    assert top_items(scores, depth).tolist() == expected
