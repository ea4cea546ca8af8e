"""Names in an array are found as a dictionary would find them."""

import datetime as dt
import sys
import tracemalloc
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edlae_sweeps.models import LowRank, NameIndex

# Names that differ little, and items of other types that are equal to a name, or look like one.
TEXTS = ["7", "07", "7.0", "-1", "", " ", "a", "A", "ab", "ä", "日本", "nan", "None", "True", "a\tb"]
ODD = [None, True, False, 7, 7.0, 7.5, -1, 0, 2**31, 2**63, 2**64, -(2**70), 1e300, float("nan"), float("inf"), b"7",
       "7\0", "abcdefghijklmnopqrstuvwxyz", (7,), ("7",), Decimal(7), np.int8(7), np.uint64(2**63), np.float32(7.5),
       np.float64("nan"), np.float64(1e300), np.str_("7"), np.bool_(True), dt.date(2024, 1, 7)]  # fmt: skip


def expected(names: np.ndarray, items: list) -> list[int]:
    places = {name: place for place, name in enumerate(names.tolist())}
    return [places.get(item, -1) for item in items]


@given(
    st.one_of(
        st.lists(st.one_of(st.sampled_from(TEXTS), st.text(max_size=4)), unique=True, max_size=20),
        st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-9, 9), unique=True, max_size=20),
        st.lists(st.floats(allow_nan=False) | st.sampled_from([7.0, 7.5, -1.0]), unique=True, max_size=20),
    ),
    st.data(),
)
def test_items_are_found_where_a_dictionary_has_them(values, data):
    # NumPy keeps no null characters at the end of a text.
    values = list(dict.fromkeys(value.rstrip("\0") if isinstance(value, str) else value for value in values))
    names = np.array(values, dtype=None if values else "U1")
    items = data.draw(st.lists(st.sampled_from([*ODD, *TEXTS, *values]), max_size=30))
    assert NameIndex(names).find(items).tolist() == expected(names, items)


@pytest.mark.parametrize(
    "names",
    [
        np.array([3, 7, 250, 0], np.uint8),
        np.array([-1, 7, 2**31 - 1], np.int32),
        np.array([2**63, 7, 2**64 - 1], np.uint64),
        np.array([7.5, 0.1, 7], np.float32),
        np.array([True, False]),
        np.array([b"7", b"a"]),
        np.array(["2024-01-07", "2025-01-01"], "M8[D]"),
        np.array(TEXTS),
        np.arange(9),
    ],
    ids=lambda names: str(names.dtype),
)
def test_names_of_any_type_meet_items_of_any_type(names):
    items = [*ODD, *TEXTS, *names.tolist()]
    assert NameIndex(names).find(items).tolist() == expected(names, items)


def test_a_text_is_no_number():
    numbers, texts = (
        LowRank(np.ones((3, 1)), np.ones((3, 1)), item_names=np.array(n)) for n in ([5, 6, 7], list("567"))
    )
    assert numbers.columns(["7", 5])[1] == ["7"]
    assert texts.columns([7, "5"])[1] == [7]
    assert [columns.tolist() for columns in (numbers.columns(["7", 5])[0], texts.columns([7, "5"])[0])] == [[0], [0]]


def test_columns_ascend_and_are_distinct():
    model = LowRank(np.ones((4, 1)), np.ones((4, 1)), item_names=np.array(["d", "c", "b", "a"]))
    columns, unknown = model.columns(["a", "x", "d", "a", "y", "x", np.str_("b")])
    assert columns.tolist() == [0, 2, 3]
    assert unknown == ["x", "y"]


@pytest.mark.parametrize("texts", [True, False])
def test_finding_names_makes_no_object_for_each(texts):
    numbers = np.random.default_rng(0).permutation(10**6)[:200_000]
    names = np.char.mod("item%07d", numbers) if texts else numbers
    tracemalloc.start()
    place = NameIndex(names).find([names[1234].item(), "no such name"])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert place.tolist() == [1234, -1]
    assert peak < 20 * len(names) < sys.getsizeof(names[0].item()) * len(names)
