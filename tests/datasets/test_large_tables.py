"""What large tables need: work in blocks without a change of the result, and few bytes for each event."""

import hashlib
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import random_array

from edlae_sweeps.datasets import Debian, Interactions, InteractionsFile, arrow, base, codes, protocol
from edlae_sweeps.datasets.base import part_digest
from edlae_sweeps.datasets.protocol import prepare, unique

EVENTS = 1_000_000


@pytest.fixture(scope="module")
def many_events() -> Interactions:
    random = np.random.default_rng(0)
    users = random.integers(0, 50_000, EVENTS, dtype=np.int32)
    items = random.integers(0, 10_000, EVENTS, dtype=np.int32)
    return Interactions(users, items, np.arange(50_000), np.arange(10_000))


def peak_per_event(function: Callable[[], object]) -> float:
    """Bytes that NumPy allocates beside what there was, at the worst moment."""
    with patch.object(protocol, "_BLOCK", 2**16), patch.object(base, "_ROWS_TO_HASH", 2**11):
        tracemalloc.start()
        try:
            function()
            return tracemalloc.get_traced_memory()[1] / EVENTS
        finally:
            tracemalloc.stop()


@given(
    rows=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 4)), max_size=60),
    block=st.sampled_from([1, 2, 7, 2**22]),
)
def test_of_repeated_pairs_the_first_is_kept_in_its_place(rows, block):
    users, items = np.array(rows, dtype=np.int32).reshape(-1, 2).T
    with patch.object(protocol, "_BLOCK", block):
        kept = unique(Interactions(users, items, np.arange(7), np.arange(5)))
    assert list(zip(kept.users.tolist(), kept.items.tolist(), strict=True)) == list(dict.fromkeys(rows))


@pytest.mark.parametrize("block", [1, 7, 300])
def test_the_split_does_not_depend_on_the_blocks(block):
    # Other tests compare the split in a single block with the published procedure.
    random = np.random.default_rng(0)
    users, items = random.integers(0, 60, 900, dtype=np.int32), random.integers(0, 40, 900, dtype=np.int32)
    settings = Debian(heldout_users=10, min_item_events=12)
    events = Interactions(users, items, np.arange(60), np.arange(40))
    whole = prepare(unique(events), settings)
    with patch.object(protocol, "_BLOCK", block):
        blocks = prepare(unique(events), settings)
    assert blocks.digest == whole.digest
    assert blocks.counts() == whole.counts()
    assert whole.filtered_items < 40


def test_the_numbers_of_pairs_do_not_overflow():
    # 4096 · 2²⁰ = 2³²: in 32 bits both pairs have the same number.
    users, items = np.array([0, 4096], dtype=np.int32), np.array([1, 1], dtype=np.int32)
    kept = unique(Interactions(users, items, np.arange(5000), np.arange(2**20)))
    assert kept.users.tolist() == [0, 4096]


@pytest.mark.parametrize("rows_to_hash", [1, 5, 2**14])
@pytest.mark.parametrize("first_user", [0, 1234])
def test_the_digest_is_that_of_the_sorted_pairs(rows_to_hash, first_user):
    matrix = random_array((23, 11), density=0.2, rng=0, format="csr")
    pairs = np.argwhere(matrix.toarray()) + np.array([first_user, 0])
    with patch.object(base, "_ROWS_TO_HASH", rows_to_hash):
        assert part_digest(matrix, first_user) == hashlib.sha256(pairs.astype("<i4").tobytes()).hexdigest()


def test_repeated_pairs_take_little_memory(many_events):
    # 8 bytes are the result. A sort of all pairs takes 40 more.
    assert peak_per_event(lambda: unique(many_events)) < 15


def test_preparing_takes_little_memory(many_events):
    # 8 bytes are the matrix. A sort of all items takes 30 more.
    settings = Debian(heldout_users=100, min_item_events=0)
    assert peak_per_event(lambda: prepare(unique(many_events), settings)) < 30


@pytest.mark.parametrize("name", ["x.csv", "x.parquet"])
def test_reading_takes_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, many_events, name):
    names = pa.array([f"{number:018x}" for number in range(50_000)])
    table = pa.table({"user": names.take(pa.array(many_events.users)), "item": names.take(pa.array(many_events.items))})
    if name == "x.csv":
        pacsv.write_csv(table, tmp_path / name)
    else:
        pq.write_table(table, tmp_path / name, row_group_size=50_000)
    del table
    monkeypatch.setattr(arrow, "_BLOCK_BYTES", 2**18)
    monkeypatch.setattr(arrow, "_BATCH_ROWS", 2**13)
    monkeypatch.setattr(codes, "_ROWS_TO_MERGE", 2**17)
    usual, pool = pa.default_memory_pool(), pa.proxy_memory_pool(pa.default_memory_pool())
    pa.set_memory_pool(pool)
    try:
        events = InteractionsFile(path=str(tmp_path / name)).read(tmp_path)
    finally:
        pa.set_memory_pool(usual)
    assert len(events.users) > 0.9 * EVENTS
    # The whole table and its dictionaries take 57. Parquet has a dictionary of its own in each row group.
    assert pool.max_memory() / EVENTS < (35 if name == "x.csv" else 42)
