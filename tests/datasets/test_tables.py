"""Interaction tables in every format, and their errors."""

import gzip
import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edlae_sweeps.datasets import InteractionsFile, load
from edlae_sweeps.datasets.tables import Columns, Source, Text, read_text
from edlae_sweeps.errors import ConfigError, DataError

ROWS = [("b", "x", 5.0), ("a", "y", 3.5), ("b", "é", 4.0), ("b", "x", 1.0), ("a", "x", 2.0)]


def settings(path: Path | str, **changes: object) -> InteractionsFile:
    return InteractionsFile(**{"path": str(path), "heldout_users": 1, "min_user_events": 0, **changes})


def write(folder: Path, name: str, rows: list[tuple] = ROWS, header: str = "user,time,item,rating") -> Path:
    """Write the rows and an extra column in the format that the file's name gives."""
    path = folder / name
    if name.endswith(".parquet"):
        columns = dict(zip(("user", "item", "rating"), map(list, zip(*rows, strict=True)), strict=True))
        pq.write_table(pa.table({"time": [0] * len(rows), **columns}), path)
        return path
    text = "\n".join([header, *(f"{user},0,{item},{rating}" for user, item, rating in rows)]) + "\n"
    if ".tsv" in name:
        text = text.replace(",", "\t")
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def pairs(events) -> list[tuple]:
    return [(events.user_names[u], events.item_names[i]) for u, i in zip(events.users, events.items, strict=True)]


@pytest.mark.parametrize("name", ["x.csv", "x.tsv", "x.csv.gz", "x.tsv.gz", "x.parquet"])
def test_every_format_gives_the_same_events(tmp_path: Path, name):
    path = write(tmp_path, name)
    events = settings(path).read(tmp_path)
    # The first of repeated pairs is kept, and the order is unchanged.
    assert pairs(events) == [("b", "x"), ("a", "y"), ("b", "é"), ("a", "x")]
    assert events.user_names.tolist() == ["a", "b"]
    assert events.item_names.tolist() == ["x", "y", "é"]
    rated = settings(path, rating_column="rating", min_rating=3.5).read(tmp_path)
    assert pairs(rated) == [("b", "x"), ("a", "y"), ("b", "é")]
    # The threshold applies before repeated pairs are dropped: here the second row of the pair passes it.
    low_first = write(tmp_path, name, [("b", "x", 1.0), *ROWS])
    assert pairs(settings(low_first, rating_column="rating", min_rating=5).read(tmp_path)) == [("b", "x")]


@pytest.mark.parametrize("name", ["x.csv", "x.parquet"])
def test_whole_numbers_sort_as_numbers_and_lookalikes_as_strings(tmp_path: Path, name):
    path = write(tmp_path, name, [("10", "007", 1), ("9", "7", 1), ("-3", "1e3", 1)])
    events = settings(path).read(tmp_path)
    assert events.user_names.tolist() == [-3, 9, 10]
    assert events.item_names.tolist() == ["007", "1e3", "7"]
    assert pairs(events) == [(10, "007"), (9, "7"), (-3, "1e3")]


def test_integer_columns_of_parquet_are_read(tmp_path: Path):
    path = write(tmp_path, "x.parquet", [(10, 2, 1), (9, 3, 5), (2**40, 2, 4)])
    events = settings(path, rating_column="rating", min_rating=4).read(tmp_path)
    assert pairs(events) == [(9, 3), (2**40, 2)]


def test_integers_that_are_too_large_are_refused(tmp_path: Path):
    pq.write_table(pa.table({"user": pa.array([2**63], pa.uint64()), "item": [1]}), tmp_path / "x.parquet")
    with pytest.raises(DataError, match="store them as strings"):
        settings(tmp_path / "x.parquet").read(tmp_path)


def test_quoted_fields_are_read(tmp_path: Path):
    (tmp_path / "x.csv").write_text('user,item\n"a, b","say ""hi"""\n')
    assert pairs(settings(tmp_path / "x.csv").read(tmp_path)) == [("a, b", 'say "hi"')]


@given(st.lists(st.tuples(st.text("ab01é", min_size=1, max_size=3), st.integers(-20, 20)), min_size=1, max_size=30))
def test_codes_equal_those_of_numpy(tmp_path_factory, rows):
    path = write(tmp_path_factory.mktemp("x"), "x.csv", [(user, item, 1) for user, item in rows])
    events = settings(path).read(path.parent)
    first = list(dict.fromkeys(rows))
    users = [user for user, _ in first]
    if all(user.isdigit() and str(int(user)) == user for user in users):
        users = list(map(int, users))
    names, codes = np.unique(users, return_inverse=True)
    assert events.user_names.tolist() == names.tolist()
    assert events.users.tolist() == codes.tolist()
    assert events.item_names[events.items].tolist() == [item for _, item in first]


@pytest.mark.parametrize("size", [10, 3_000_000])
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (b"u,0,i,many", r"line {line}: .*invalid value 'many'"),
        (b"u,0,i", r"line {line}: Expected 4 columns, got 3"),
        (b"u,0,\xff\xfe,1", r"line {line}: .*UTF8"),
        (b"u,0,i,", r"line {line}: column rating has no value"),
        (b"u,0,,1", r"line {line}: column item is empty"),
    ],
)
def test_errors_name_the_line_of_a_bad_row(tmp_path: Path, size, bad, message):
    # The large file is read in parallel.
    row = b"u,0,i,1\n"
    path = tmp_path / "x.csv"
    path.write_bytes(b"user,time,item,rating\n" + row * size + bad + b"\n" + row * 3)
    with pytest.raises(DataError, match=message.format(line=size + 2)) as caught:
        settings(path, rating_column="rating", min_rating=1).read(tmp_path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz", "x.tsv", "x.parquet"])
def test_files_that_are_not_tables_are_refused(tmp_path: Path, name):
    path = tmp_path / name
    for content in (b"", b"\x00\x01\x02 no table", write(tmp_path, f"good{name[1:]}").read_bytes()[:-20]):
        path.write_bytes(content)
        if content and name in ("x.csv", "x.tsv"):
            continue
        with pytest.raises(DataError, match=str(path)) as caught:
            settings(path).read(tmp_path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["x.csv", "x.tsv.gz", "x.parquet"])
@pytest.mark.parametrize("role", ["user", "item", "rating"])
def test_a_missing_column_is_named_with_its_key_and_the_existing_ones(tmp_path: Path, name, role):
    path = write(tmp_path, name)
    columns = {"rating_column": "rating", f"{role}_column": "other"}
    with pytest.raises(DataError, match=rf"no column other: set dataset\.{role}_column to one of .*user.*item"):
        settings(path, **columns, min_rating=1).read(tmp_path)


def test_values_of_the_wrong_type_are_refused(tmp_path: Path):
    path = write(tmp_path, "x.parquet", [(1.5, "x", 1)])
    with pytest.raises(DataError, match="column user holds double; convert the ids to strings or whole numbers"):
        settings(path).read(tmp_path)
    path = write(tmp_path, "x.parquet", [(1, "x", "good")])
    with pytest.raises(DataError, match="column rating does not hold numbers"):
        settings(path, rating_column="rating", min_rating=1).read(tmp_path)
    path = write(tmp_path, "x.parquet", [(1, "x", 1), (None, "y", 1)])
    with pytest.raises(DataError, match="row 2: column user has no value"):
        settings(path).read(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"path": ""}, "dataset.path is not set"),
        ({"path": "nowhere.csv"}, "nowhere.csv: there is no such file"),
        ({"path": "x.xlsx"}, "must end in .csv"),
        ({"path": "x.parquet.gz"}, "must end in .csv"),
        ({"name": "a/b"}, "dataset.name=a/b"),
        ({"name": ".."}, "dataset.name=.."),
        ({"name": "a\nb"}, "without / .* control characters"),
        ({"name": "a" * 101}, r"dataset\.name=a{40}… has 101 characters: .* at most 100 characters and 200 bytes"),
        ({"name": "é" * 100, "path": "x.csv"}, "there is no such file"),
        ({"name": "語" * 90}, r"dataset\.name=語{40}… has 90 characters: .* at most 100 characters and 200 bytes"),
        ({"name": "Default"}, "dataset.name=Default: MLflow has an experiment of this name; choose another"),
        ({"path": "/"}, r"dataset\.path=/: its name must end"),
        ({"path": "~nobody-here/x.csv"}, "dataset.path=~nobody-here/x.csv: there is no such user"),
        ({"path": "/" + "x" * 300 + ".csv"}, r"dataset\.path=/x{199}: File name too long; name a file"),
        ({"item_column": "user"}, "must be different"),
        ({"rating_column": "item", "min_rating": 1.0}, "must be different"),
        ({"min_rating": 3.0}, "needs dataset.rating_column"),
        ({"min_rating": float("nan"), "rating_column": "r"}, "dataset.min_rating=nan"),
    ],
)
def test_settings_out_of_range_are_refused(tmp_path: Path, changes, message):
    with pytest.raises(ConfigError, match=message):
        settings(**{"path": write(tmp_path, "x.csv"), **changes})


def test_a_folder_is_no_table_and_a_long_file_name_needs_a_short_name(tmp_path: Path):
    (tmp_path / "x.csv").mkdir()
    with pytest.raises(ConfigError, match="it is a folder; name a csv"):
        settings(tmp_path / "x.csv")
    path = write(tmp_path, "y" * 150 + ".csv")
    with pytest.raises(ConfigError, match=r"has 150 characters: .* choose dataset\.name of at most"):
        settings(path)
    assert settings(path, name="y").label == "y"


def test_a_name_of_200_bytes_is_short_enough_for_every_file(tmp_path: Path):
    rows = [(f"u{user}", f"i{item}", 1) for user in range(9) for item in range(6)]
    data = settings(write(tmp_path, "x.csv", rows), name="é" * 100, heldout_users=2)
    assert load(data, tmp_path).digest == load(data, tmp_path).digest
    assert len(list((tmp_path / "prepared").iterdir())) == 1


def test_the_label_is_the_name_or_the_stem_of_the_file(tmp_path: Path):
    assert settings(write(tmp_path, "my.plays.csv.gz")).label == "my"
    assert settings(write(tmp_path, "x.csv"), name="plays").label == "plays"


def test_a_changed_file_changes_the_digest(tmp_path: Path):
    path = write(tmp_path, "x.csv")
    before = settings(path).content_digest(tmp_path)
    write(tmp_path, "x.csv", ROWS[1:])
    assert settings(path).content_digest(tmp_path) != before


def test_a_text_without_a_header_is_read():
    source = Source("x", lambda: io.BytesIO(b"1::20::5::0\n2::10::3::0\n"))
    text = Text(":", ("user", "_1", "item", "_2", "rating", "_3", "time"), quoted=False)
    events = read_text(source, text, Columns("user", "item", "rating", 4))
    assert pairs(events) == [(1, 20)]
    bad = Source("x", lambda: io.BytesIO(b"1::20::5::0\n2::10::?::0\n"))
    with pytest.raises(DataError, match=r"line 2: .*invalid value"):
        read_text(bad, text, Columns("user", "item", "rating", 4))
