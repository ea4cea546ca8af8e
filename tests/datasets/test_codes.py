"""Ids that arrive in batches: their codes and names equal those of the whole column."""

from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edlae_sweeps.datasets import codes
from edlae_sweeps.datasets.codes import Codes

TYPES = {
    "strings": pa.string(),
    "large strings": pa.large_string(),
    "dictionaries": pa.dictionary(pa.int8(), pa.string()),
    "large dictionaries": pa.dictionary(pa.uint32(), pa.large_string()),
}


def collect(batches: list[pa.Array], rows_to_merge: int) -> tuple:
    with patch.object(codes, "_ROWS_TO_MERGE", rows_to_merge):
        column = Codes()
        for batch in batches:
            column.add(batch)
        return column.finish()


@pytest.mark.parametrize("kind", TYPES)
@given(
    batches=st.lists(
        st.lists(st.text("abB01é\uffee\U0001f600", min_size=1, max_size=2), max_size=12), min_size=1, max_size=6
    ),
    rows_to_merge=st.integers(1, 40),
)
def test_codes_of_strings_do_not_depend_on_the_batches(kind, batches, rows_to_merge):
    # Each batch has a dictionary of its own, in its own order. The last id keeps them from being whole numbers.
    batches = [*batches, ["a"]]
    rows = [name for batch in batches for name in batch]
    row_codes, names = collect([pa.array(batch, pa.string()).cast(TYPES[kind]) for batch in batches], rows_to_merge)
    expected_names, expected = np.unique(rows, return_inverse=True)
    assert names.tolist() == expected_names.tolist()
    assert row_codes.tolist() == expected.tolist()
    assert row_codes.dtype == np.int32


@given(
    batches=st.lists(st.lists(st.integers(-(2**62), 2**62), max_size=12), min_size=1, max_size=6),
    rows_to_merge=st.integers(1, 40),
    text=st.booleans(),
)
def test_codes_of_whole_numbers_do_not_depend_on_the_batches(batches, rows_to_merge, text):
    # Strings with at most 18 digits are numbers too.
    batches = [[number % 10**18 if text else number for number in batch] for batch in [*batches, [7]]]
    rows = [number for batch in batches for number in batch]
    arrays = [pa.array(map(str, batch), pa.string()) if text else pa.array(batch, pa.int64()) for batch in batches]
    row_codes, names = collect(arrays, rows_to_merge)
    expected_names, expected = np.unique(rows, return_inverse=True)
    assert names.tolist() == expected_names.tolist()
    assert row_codes.tolist() == expected.tolist()


def test_a_column_without_batches_has_no_names():
    row_codes, names = Codes().finish()
    assert len(row_codes) == len(names) == 0


def test_small_indices_of_a_dictionary_do_not_limit_the_number_of_ids():
    # Each batch fits int8, all of them together do not.
    names = [f"u{number:03d}" for number in range(300)]
    batches = [pa.array(names[start : start + 100]).cast(TYPES["dictionaries"]) for start in (200, 0, 100)]
    row_codes, distinct = collect(batches, 2**23)
    assert distinct.tolist() == names
    assert row_codes.tolist() == [*range(200, 300), *range(200)]
