import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edlae_sweeps.linalg import block_columns, by_columns
from edlae_sweeps.linalg.columns import WIDTH


@given(columns=st.integers(1, 70), threads=st.integers(1, 9))
def test_every_column_is_worked_on_once_in_its_place(columns, threads):
    Y = np.random.default_rng(columns).standard_normal((5, columns))
    widths = []

    def work(block: np.ndarray) -> np.ndarray:
        assert block.flags.c_contiguous
        widths.append(block.shape[1])
        return block.cumsum(axis=0)

    for given_order in (Y, np.asfortranarray(Y)):
        np.testing.assert_array_equal(by_columns(work, given_order, threads), Y.cumsum(axis=0))
    assert sum(widths) == 2 * columns
    assert max(widths) <= block_columns(columns, threads)


@given(columns=st.integers(1, 10**6), threads=st.integers(1, 200))
def test_the_columns_in_work_are_bounded_whatever_the_number_of_threads(columns, threads):
    width = block_columns(columns, threads)
    assert 1 <= width <= WIDTH
    assert width * threads <= max(64, threads)


def test_threads_share_a_narrow_block():
    names = set()
    barrier = threading.Barrier(4, timeout=30)

    def work(block: np.ndarray) -> np.ndarray:
        # Passes only if four threads are here at once.
        barrier.wait()
        names.add(threading.get_ident())
        return block

    by_columns(work, np.ones((3, 16)), 4)
    assert len(names) == 4


def test_a_failure_stops_the_others():
    stopped, started = threading.Event(), threading.Event()
    blocks = []

    def work(block: np.ndarray) -> np.ndarray:
        blocks.append(int(block[0, 0]))
        if block[0, 0] == 0:
            started.wait(30)
            raise ValueError("the first block fails")
        started.set()
        # Without the call of `stop` this would wait for its timeout.
        assert stopped.wait(30)
        return block

    Y = np.tile(np.arange(64.0), (2, 1))
    with pytest.raises(ValueError, match="the first block fails"):
        by_columns(work, Y, 2, stopped.set)
    # Blocks that were waiting are not begun.
    assert len(blocks) < len(range(0, 64, block_columns(64, 2)))
