"""Tables that would take all memory, or that can't mean what they say: each is refused in one line."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edlae_sweeps.datasets import InteractionsFile, arrow, codes, load, tables
from edlae_sweeps.datasets.limits import ROW_BYTES, room
from edlae_sweeps.datasets.rows import LONGEST_ID
from edlae_sweeps.errors import DataError, EdlaeSweepsError, HostMemoryError
from edlae_sweeps.resources import Resources

ROWS = "".join(f"u{number},i{number % 7}\n" for number in range(3000))
LONG = "x" * 60_000


def csv(text: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / "x.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def packed(content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / "x.csv.gz"
        path.write_bytes(gzip.compress(content))
        return path

    return write


def parquet(names: tuple[str, ...] = ("user", "item"), **columns: pa.Array) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / "x.parquet"
        pq.write_table(pa.table(list(columns.values()), names=names or list(columns)), path)
        return path

    return write


def repeated(ids: list[str | None], rows: list[int]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(rows, pa.int32()), pa.array(ids, pa.string()))


MANY = pa.array(range(90_009))
ITEMS = pa.array(["a", "b", "c"])
LONG_ID = f"column user has an id of more than {LONGEST_ID} bytes: shorten"

HOSTILE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "long id": (csv(f"user,item\n{ROWS}{LONG},i1\n{ROWS}"), f"line 3002: {LONG_ID}"),
    "long id of few characters": (csv(f"user,item\n{ROWS}{'é' * 300},i1\n"), f"line 3002: {LONG_ID}"),
    "id longer than a block": (csv(f"user,item\n{ROWS}{LONG * 400},i1\n"), r"line \d+ or a later one has more than"),
    "open quote": (csv(f'user,item\n{ROWS}"u,i1\n{ROWS * 20}'), r"line \d+ or a later one .* a quote that is not"),
    "nul": (csv(f"user,item\n{ROWS}u1\0,i1\n"), "line 3002: column user has an id with a NUL character: remove it"),
    "header twice": (csv("user,item,user\n1,2,3\n"), "has more than one column user: rename"),
    "quoted header twice": (csv('"item",user,item\n1,2,3\n'), "has more than one column item: rename"),
    "header twice after a mark": (csv("\ufeffuser,item,user\n1,2,3\n"), "has more than one column user: rename"),
    "no rows": (csv("user,item\n"), "has no rows: name a file"),
    "empty lines": (csv("\n" * 5000), "can't read"),
    "zeros": (packed(bytes(3_000_000)), "line 1 has more than"),
    "expanding rows": (packed(b"user,item\n" + b"1,2\n" * 500_000), "expands to more than .* unpack it yourself"),
    "long header": (packed(b"user,item" * 200_000), "line 1 has more than"),
    "long id, repeated": (parquet(user=repeated(["u", LONG], [0] * 9 + [1] * 90_000), item=MANY), f"row 10: {LONG_ID}"),
    "nul in parquet": (parquet(user=pa.array(["u", "u\0", "v"]), item=ITEMS), "row 2: column user has an id with a"),
    "structures": (parquet(user=pa.array([{"id": 1}] * 3), item=ITEMS), "column user holds struct<.*; convert the ids"),
    "lists": (parquet(user=ITEMS, item=pa.array([["a"], [], ["b"]])), "column item holds list<.*; convert the ids"),
    "nothing but nulls": (parquet(user=pa.nulls(3), item=ITEMS), "column user holds null; convert the ids"),
    "nulls": (parquet(user=ITEMS, item=pa.array(["a", None, "b"])), "row 2: column item has no value"),
    "columns twice": (parquet(("user", "item", "user"), a=ITEMS, b=ITEMS, c=ITEMS), "more than one column user"),
    "floats": (parquet(user=pa.array([0.5, 1, 2]), item=ITEMS), "column user holds double; convert the ids"),
}  # fmt: skip


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits at the scale of these files."""
    monkeypatch.setattr(arrow, "_BLOCK_BYTES", 2**18)
    monkeypatch.setattr(tables, "_ALWAYS_BYTES", 10**6)


def read(path: Path, **changes: object) -> EdlaeSweepsError:
    with pytest.raises(EdlaeSweepsError) as caught:
        InteractionsFile(path=str(path), **changes).read(path.parent)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
    return caught.value


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_tables_are_refused_in_one_line(tmp_path: Path, name):
    write, message = HOSTILE[name]
    path = write(tmp_path)
    error = read(path)
    assert isinstance(error, DataError)
    assert str(path) in str(error)
    error.args = (str(error).replace(str(path), "PATH"),)
    with pytest.raises(DataError, match=message):
        raise error


def test_a_long_id_takes_its_own_length_alone(tmp_path: Path):
    events = InteractionsFile(path=str(csv(f"user,item\n{'x' * LONGEST_ID},i0\n{ROWS}")(tmp_path))).read(tmp_path)
    assert events.user_names.dtype == object
    assert len(events.user_names) == 3001
    assert max(map(len, events.user_names)) == LONGEST_ID


@pytest.mark.parametrize("name", ["x.csv", "x.parquet"])
def test_rows_are_counted_against_the_memory_as_they_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name):
    numbers = np.arange(60_000)
    path = tmp_path / name
    if name == "x.csv":
        path.write_text("user,item\n" + "".join(f"{number},{number}\n" for number in numbers))
    else:
        pq.write_table(pa.table({"user": numbers, "item": numbers}), path)
    monkeypatch.setattr(arrow, "_BLOCK_BYTES", 2**16)
    seen = []
    monkeypatch.setattr(codes.Codes, "add", lambda _, ids: seen.append(len(ids)))
    # As if so many bytes were free.
    monkeypatch.setattr("edlae_sweeps.datasets.rows.room", lambda _: 20_000 * ROW_BYTES)
    monkeypatch.setattr("edlae_sweeps.datasets.arrow.room", lambda _: 20_000 * ROW_BYTES)
    message = str(read(path))
    assert "GiB of memory, and" in message
    assert "raise memory if it is set" in message
    assert sum(seen) <= 2 * 20_000
    if name == "x.csv":
        # The second half is never parsed.
        line = int(message.partition("line ")[2].partition(":")[0])
        assert 20_000 < line < 40_000


def test_a_parquet_file_that_says_it_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = parquet(user=pa.array([f"{number:0400d}" for number in range(1000)]), item=pa.array(range(1000)))(tmp_path)
    # More than the rows take, less than the ids.
    monkeypatch.setattr(arrow, "room", lambda _: 1000 * ROW_BYTES + 100_000)
    monkeypatch.setattr(arrow, "collect", lambda *_: pytest.fail("read"))
    assert "row 1000: the rows up to here need about" in str(read(path))


def test_an_id_that_no_row_has_is_no_error(tmp_path: Path):
    path = parquet(user=repeated(["u", LONG, "", "v"], [0, 3, 0]), item=ITEMS)(tmp_path)
    events = InteractionsFile(path=str(path)).read(tmp_path)
    assert events.user_names[events.users].tolist() == ["u", "v", "u"]


def test_the_memory_of_the_settings_limits_what_is_read(tmp_path: Path):
    settings = InteractionsFile(path=str(csv(f"user,item\n{ROWS}")(tmp_path)))
    with pytest.raises(DataError, match=r"line \d+: the rows up to here need .* and 0 GiB are available"):
        load(settings, tmp_path, memory=2**20)


def test_names_are_counted_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = csv("user,item\n" + "".join(f"{number:0500d},i\n" for number in range(1000)))(tmp_path)
    monkeypatch.setattr("edlae_sweeps.datasets.rows.room", lambda _: 100_000)
    assert "shorter ids" in str(read(path))


def test_distinct_ids_beyond_the_offsets_of_arrow_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(codes, "_MOST_BYTES", 10_000)
    assert "distinct ids take more than" in str(read(csv(f"user,item\n{ROWS}")(tmp_path)))


def test_the_memory_of_the_process_is_what_may_be_taken():
    used = Resources.here().memory - room(None)
    assert room(used + 12345) == pytest.approx(12345, abs=2**26)


def test_memory_that_runs_out_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> None:
        raise np._core._exceptions._ArrayMemoryError((30_000,), np.dtype("<U60000"))

    monkeypatch.setattr(codes.Codes, "finish", full)
    with pytest.raises(
        HostMemoryError, match=r"^dataset=x: can't prepare the data: out of memory \(unable to allocate 6"
    ):
        load(InteractionsFile(path=str(csv(f"user,item\n{ROWS}")(tmp_path))), tmp_path)


def test_arrow_that_runs_out_of_memory_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object, **__: object) -> None:
        raise pa.ArrowMemoryError("malloc of size 68719476736 failed")

    monkeypatch.setattr(arrow.pacsv, "open_csv", full)
    monkeypatch.setattr(arrow.pq, "ParquetFile", full)
    for path in (csv(f"user,item\n{ROWS}")(tmp_path), parquet(user=ITEMS, item=ITEMS)(tmp_path)):
        with pytest.raises(HostMemoryError, match=r"out of memory \(malloc of size 68719476736 failed\); choose"):
            load(InteractionsFile(path=str(path)), tmp_path)


@pytest.mark.parametrize("name", ["x.csv", "x.parquet"])
def test_a_threshold_that_no_rating_reaches_is_named(tmp_path: Path, name):
    path = tmp_path / name
    if name == "x.csv":
        path.write_text("user,item,rating\na,x,3.5\nb,y,-5\nc,z,-1\n")
    else:
        pq.write_table(pa.table({"user": ITEMS, "item": ITEMS, "rating": [3.5, float("nan"), -1]}), path)
    message = str(read(path, rating_column="rating", min_rating=4))
    assert message.startswith("dataset.min_rating=4: no row of ")
    assert message.endswith("the largest in column rating is 3.5: lower it")
