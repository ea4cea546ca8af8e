"""`python -m edlae_sweeps.recommend`: tables and files of recommendations, and names with any characters."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import Command, errors, run_command
from hypothesis import given
from hypothesis import strategies as st

from edlae_sweeps.methods import Closed
from edlae_sweeps.models import Model, load_model
from edlae_sweeps.serving.baskets import BasketFile, join_items, split_items
from edlae_sweeps.serving.tables import table_writer

NAMES = [
    "cmake", "a, b", '"q"', "x|y", "=1+1", "ü✓🎉", "<b>bold</b>", "[red]markup[/red]", ":smile:", "new\nline",
    "tab\there", "\x1b[31mred", "it's", " lead", "trail ", "7", "1e3", "true", "${x}", '{"a":1}', "back\\slash",
    "null", "NaN", "#c", "\r\n", '"', '""', "|", "a;b", "\u202ertl", "0007",
]  # fmt: skip
FORMATS = ("csv", "tsv", "parquet", "jsonl")


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    X = (np.random.default_rng(0).random((200, len(NAMES))) < 0.3).astype(float)
    return Closed(l2=1).fit(X, rank="full", item_names=NAMES).save(tmp_path_factory.mktemp("models") / "names")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture) -> Command:
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: run_command("recommend", arguments, capfd)


def read(path: Path) -> list[dict]:
    """The rows of a table of recommendations, whatever its format, with numbers as numbers."""
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]
    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t" if path.suffix == ".tsv" else ","))
    return [{**row, "row": int(row["row"]), "rank": int(row["rank"]), "score": float(row["score"])} for row in rows]


def write(path: Path, baskets: list[list[str]]) -> None:
    if path.suffix == ".parquet":
        pq.write_table(pa.table({"items": pa.array(baskets, pa.list_(pa.string()))}), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps({"items": basket}) + "\n" for basket in baskets), encoding="utf-8")
    else:
        with path.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream, delimiter="\t" if path.suffix == ".tsv" else ",")
            writer.writerows([["id", "items"], *([number, join_items(b, "|")] for number, b in enumerate(baskets))])


def expected(model: Path, baskets: list[list[str]], k: int) -> list[tuple]:
    loaded: Model = load_model(model)
    return [
        (row, rank, item, score)
        for row, basket in enumerate(baskets)
        for rank, (item, score) in enumerate(loaded.recommend(basket, k), 1)
    ]


def test_a_basket_gets_a_table(run, model):
    status, lines, log = run(f"model={model}", "items=[cmake,'a, b']", "k=3")
    assert (status, log) == (0, [])
    assert lines[0] == f"{model}: recommendations for cmake, a, b"
    rows = [line.split() for line in lines if line.strip()[:1].isdigit()]
    wanted = expected(model, [["cmake", "a, b"]], 3)
    assert [(int(row[0]), row[-1]) for row in rows] == [(rank, f"{score:.4f}") for _, rank, _, score in wanted]


def test_every_name_is_shown_as_it_is(run, model):
    status, lines, _ = run(f"model={model}", "items=[cmake]", "k=100")
    assert status == 0
    text = "\n".join(lines)
    for name in (
        "[red]markup[/red]",
        ":smile:",
        "<b>bold</b>",
        "new\\nline",
        "\\x1b[31mred",
        "ü✓🎉",
        "\\u202ertl",
        "=1+1",
    ):
        assert name in text
    assert "\x1b" not in text


def test_explanations_name_items_of_the_basket(run, model):
    _, lines, _ = run(f"model={model}", "items=[cmake,'it\\'s']", "k=1", "explain=true")
    W = load_model(model).contributions([NAMES.index("cmake")], range(len(NAMES)))
    best = expected(model, [["cmake", "it's"]], 1)[0][2]
    (row,) = [line for line in lines if line.strip().startswith("1 ")]
    assert f"cmake ({W[0, NAMES.index(best)]:+.3f})" in row or "it's (" in row


def test_similar_items(run, model):
    status, lines, _ = run(f"model={model}", "similar=cmake", "k=2")
    assert status == 0
    assert lines[0] == f"{model}: items similar to cmake"
    assert [f"{score:.4f}" in "\n".join(lines) for _, score in load_model(model).similar("cmake", 2)] == [True, True]


def test_unknown_names_are_reported_and_ignored(run, model):
    status, lines, log = run(f"model={model}", "items=[cmake,cmak]", "k=1")
    assert (status, lines[0]) == (0, f"{model}: recommendations for cmake, cmak")
    assert log == ["note: unknown items, ignored: cmak", "note: names near to them (nearest: cmake)"]


def test_a_basket_without_a_known_name_gets_the_popular_items(run, model):
    status, lines, log = run(f"model={model}", "items=[zzz]", "k=1")
    assert status == 0
    assert "these are the most popular items" in log[0]
    popular = load_model(model).popular(1)[0]
    assert any(f"{popular.score:,.0f}" in line for line in lines)


@pytest.mark.parametrize("output", FORMATS)
@pytest.mark.parametrize("input_format", FORMATS)
def test_files_of_every_format_hold_every_name(run, model, tmp_path, input_format, output):
    random = np.random.default_rng(0)
    baskets = [[NAMES[i] for i in random.permutation(len(NAMES))[:size]] for size in random.integers(1, 5, 60)]
    baskets += [[name] for name in NAMES]
    write(tmp_path / f"in.{input_format}", baskets)
    status, lines, _ = run(f"model={model}", f"input=in.{input_format}", f"output=out.{output}", "k=40")
    assert (status, lines) == (0, [f"out.{output}: recommendations for {len(baskets)} rows, numbered from 0"])
    rows = read(tmp_path / f"out.{output}")
    assert [(row["row"], row["rank"], row["item"]) for row in rows] == [
        line[:3] for line in expected(model, baskets, 40)
    ]
    np.testing.assert_allclose([row["score"] for row in rows], [line[3] for line in expected(model, baskets, 40)])
    assert not any(row["note"] for row in rows)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([f"in.{input_format}", f"out.{output}"])


@given(st.lists(st.text(), max_size=5), st.sampled_from("|;, \t^]\\-"))
def test_any_names_survive_a_cell(names, separator):
    assert split_items(join_items(names, separator), separator) == names


@pytest.mark.parametrize(
    ("cell", "names"),
    [("a|b", ["a", "b"]), ("a||b|", ["a", "b"]), ('"a|b"|c', ["a|b", "c"]), ('5" disk|x', ['5" disk', "x"]),
     ('"a"b|c', ['"a"b', "c"]), ('"open|c', ['"open', "c"]), ('""', [""])],
)  # fmt: skip
def test_cells_as_people_write_them(cell, names):
    assert split_items(cell, "|") == names


def test_explanations_in_every_format(run, model, tmp_path):
    write(tmp_path / "in.jsonl", [["cmake", "a, b", "x|y"]])
    for output in FORMATS:
        assert run(f"model={model}", "input=in.jsonl", f"output=out.{output}", "explain=true", "k=3")[0] == 0
    because = [[(entry["item"], entry["contribution"]) for entry in row["because"]] for row in read(Path("out.jsonl"))]
    assert because == [[tuple(entry.values()) for entry in row["because"]] for row in read(Path("out.parquet"))]
    for output in ("csv", "tsv"):
        rows = read(Path(f"out.{output}"))
        assert [split_items(row["because"], "|") for row in rows] == [[item for item, _ in line] for line in because]
        numbers = [float(text) for row in rows for text in row["contributions"].split("|") if text]
        np.testing.assert_allclose(numbers, [value for line in because for _, value in line], rtol=1e-5)


def test_notes_of_rows_go_to_the_log_and_the_file(run, model, tmp_path):
    write(tmp_path / "in.csv", [["cmake"], ["cmake", "zzz"], [], *[["zzz"]] * 9])
    status, lines, log = run(f"model={model}", "input=in.csv", "output=out.csv", "k=2")
    assert (status, len(lines)) == (0, 1)
    assert log[0] == "row 1: unknown items, ignored: zzz"
    assert log[1].startswith("row 2: ")
    assert "11 rows have notes, which the column note of the output holds" in log
    notes = {row["row"]: row["note"] for row in read(tmp_path / "out.csv")}
    assert (notes[0], notes[1]) == ("", "unknown items, ignored: zzz")
    assert "popular" in notes[2]
    assert len(notes) == 12


def test_whole_numbers_stay_whole(run, tmp_path):
    X = (np.random.default_rng(0).random((50, 8)) < 0.5).astype(float)
    Closed(l2=1).fit(X, rank="full", item_names=np.arange(100, 108)).save("ints")
    pq.write_table(pa.table({"items": [[100, 103]]}), "in.parquet")
    (tmp_path / "in.csv").write_text("items\n100|103\n")
    for source in ("parquet", "csv"):
        assert run("model=ints", f"input=in.{source}", f"output={source}.parquet", "k=3")[0] == 0
    assert read(tmp_path / "parquet.parquet") == read(tmp_path / "csv.parquet")
    assert pq.read_schema(tmp_path / "csv.parquet").field("item").type == pa.int64()
    assert run("model=ints", "items=[100,103]", "k=3")[2] == []


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ([], "nothing to recommend for: choose one of 'items=[NAME,...]', user=NAME, similar=NAME or input=FILE"),
        (["items=[a]", "similar=a"], "items and similar: choose one of"),
        (["items=[]"], "items=[]: name at least one item"),
        (["items=[a]", "k=0"], "k=0: choose 1 or more"),
        (["items=cmake"], "items"),
        (["similar=cmak"], "similar=cmak: the model has no such item (nearest: cmake)"),
        (["similar=a", "explain=true"], "explain=true: similar items have no basket"),
        (["user=x"], "the model was kept without the users of its data"),
        (["input=none.csv", "output=out.csv"], "input=none.csv: there is no such file"),
        (
            ["input=none.txt", "output=out.csv"],
            "input=none.txt: choose a file that ends in .csv, .tsv, .parquet, .jsonl",
        ),
        (["input=in.csv"], "input=in.csv: name the table to write"),
        (["input=in.csv", "output=in.csv"], "output=in.csv: this is the input"),
        (
            ["input=in.csv", "output=no/out.csv"],
            "can't write no/out.csv: No such file or directory; choose another output",
        ),
        (["input=other.csv", "output=out.csv"], "other.csv: it has columns a, b; name one of them items or user"),
        (["input=empty.csv", "output=out.csv"], "empty.csv"),
        (["input=ragged.csv", "output=out.csv"], "can't read ragged.csv: "),
        (["input=bad.jsonl", "output=out.csv"], "bad.jsonl: line 2 is no JSON"),
        (["input=text.jsonl", "output=out.csv"], "text.jsonl: line 1: items must be a list of names"),
        (["input=bad.parquet", "output=out.csv"], "can't read bad.parquet: "),
        (["input=text.parquet", "output=out.csv"], "column items holds string; make each value a list of names"),
        (["input=in.csv", "output=out.csv", "separator=ab"], "separator=ab: choose one character"),
        (["itmes=[a]"], "itmes: no such key (nearest: items"),
        (["model=none", "items=[a]"], "model=none"),
        (["model=null", "items=[a]"], "mlruns/mlflow.db; run python -m edlae_sweeps register=true first"),
    ],
)
def test_an_error_is_one_line_that_names_the_value(run, model, tmp_path, arguments, part):
    for name, text in {
        "in.csv": "items\ncmake\n", "other.csv": "a,b\n1,2\n", "empty.csv": "", "ragged.csv": "items,user\na,b\nc\n",
        "bad.jsonl": '{"items": ["a"]}\n{"items\n', "text.jsonl": '{"items": "a"}\n', "bad.parquet": "PAR1",
    }.items():  # fmt: skip
        (tmp_path / name).write_text(text)
    pq.write_table(pa.table({"items": ["a"]}), tmp_path / "text.parquet")
    status, lines, log = run(
        *([] if any(a.startswith("model=") for a in arguments) else [f"model={model}"]), *arguments
    )
    assert (status, lines) == (2, [])
    assert len(errors(log)) == 1
    assert part in errors(log)[0]
    assert not (tmp_path / "mlruns").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith((".", "out"))]


def test_an_interrupted_table_leaves_nothing(tmp_path):
    target = tmp_path / "out.csv"
    target.write_text("old")

    def stop() -> None:
        with table_writer(target, "csv", {"item": False}, "|") as write_rows:
            write_rows({"item": ["a"]})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]
    assert target.read_text() == "old"


@pytest.mark.parametrize("suffix", FORMATS)
def test_memory_does_not_grow_with_the_file(tmp_path, suffix):
    path = tmp_path / f"in.{suffix}"
    write(path, [["a" * 50, "b" * 50]] * 200_000)
    before, peak = psutil.Process().memory_info().rss, 0
    rows = 0
    for batch in BasketFile(path, suffix).batches(2000):
        assert len(batch.rows) <= 2000
        assert 0 <= batch.done <= batch.total
        rows += len(batch.rows)
        peak = max(peak, psutil.Process().memory_info().rss)
    assert rows == 200_000
    assert batch.done == batch.total
    assert peak - before < 64 * 1024**2


def test_help_names_every_key():
    done = subprocess.run(
        [sys.executable, "-m", "edlae_sweeps.recommend", "--help"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    for key in ("model", "items", "user", "similar", "input", "separator", "k", "exclude_known", "explain", "output"):
        assert f"\n  {key} (default: " in done.stdout
