import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edlae_sweeps.linalg import column_blocks, team
from edlae_sweeps.linalg.parts import in_threads, row_parts
from edlae_sweeps.resources import blas_threads


@given(n=st.integers(0, 100_000))
def test_parts_and_blocks_cover_everything_once(n):
    for cut in (row_parts, column_blocks):
        assert np.concatenate([np.arange(n)[part] for part in cut(n)] or [np.arange(0)]).tolist() == list(range(n))


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("parts", [0, 1, 20])
def test_results_come_in_order(threads, parts):
    with team(threads) as each:
        assert each(lambda part: 2 * part, list(range(parts))) == list(range(0, 2 * parts, 2))


def test_parts_run_at_once_with_one_thread_of_blas_each():
    # Passes only if four threads are here at once.
    barrier = threading.Barrier(4, timeout=30)
    with team(4) as each:
        assert each(lambda _: (barrier.wait(), blas_threads())[1], list(range(4))) == [1] * 4


@pytest.mark.parametrize("what", ["a part", "the caller"])
def test_a_failure_begins_no_other_parts(monkeypatch, what):
    begun, over = [], threading.Event()
    original = ThreadPoolExecutor.shutdown

    def shutdown(*arguments, **options) -> None:
        original(*arguments, **options)
        over.set()

    def work(part: int) -> None:
        begun.append(part)
        if part == 0 and what == "a part":
            raise ValueError("it fails")
        # Two threads: what is begun runs until the failure has ended the others.
        over.wait(10)
        over.set()

    def call() -> None:
        with in_threads(2) as mapped:
            results = mapped(work, range(100))
            if what == "the caller":
                raise ValueError("it fails")
            list(results)

    monkeypatch.setattr(ThreadPoolExecutor, "shutdown", shutdown)
    with pytest.raises(ValueError, match="it fails"):
        call()
    assert len(begun) <= 3
