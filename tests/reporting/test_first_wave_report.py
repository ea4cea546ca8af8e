"""The report on a store of the first wave holds the numbers that the first wave reported."""

import csv
import io
import re

import first_wave
import pytest
from mlflow import MlflowClient

from edlae_sweeps.reporting import Report, report
from edlae_sweeps.tracking import Store

# Headers reworded since, by table: first wave's → today's.
REWORDED = {
    "diagonal.csv": {"closed: 5 % / median / 95 %": "closed form: 5 % / median / 95 %"},
    "speedup.csv": {"closed s": "closed form s", "paper: ADMM / closed s": "paper: ADMM / closed form s"},
}
# Columns dropped since: run ids are new in a rebuilt store, and a method without a timing has no column.
DROPPED = {
    "numbers.csv": {"run_id"},
    "speedup.csv": {"ADMM s", "ADMM as published s", "ADMM / closed", "published / closed"},
}
# Columns added since.
ADDED = {
    "accuracy.csv": ["parameters"],
    "diagonal.csv": ["parameters"],
    "numbers.csv": ["tune_evaluations", "tuned_by"],
    "pairs.csv": ["parameters"],
    "proposition.csv": ["parameters"],
    "speedup.csv": ["parameters"],
}
# The first wave's stars did not allow for the number of comparisons, nor for pairs of a tuned and an untuned cell.
MARKS = re.compile(r"[*†]+$")
TABLES = ("accuracy", "dataset", "diagonal", "numbers", "pairs", "proposition", "speedup")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Report:
    folder = tmp_path_factory.mktemp("first_wave")
    first_wave.rebuild(folder)
    return report(Store(None, folder), first_wave.EXPERIMENT, folder / "reports", lambda *_: None)


def columns(text: str) -> dict[str, list[str]]:
    """Columns by header, in order."""
    header, *rows = csv.reader(io.StringIO(text))
    return dict(zip(header, map(list, zip(*rows, strict=True)), strict=True))


@pytest.mark.parametrize("table", [f"{name}.csv" for name in TABLES])
def test_table_equals_the_first_waves(made: Report, table: str):
    before = columns(first_wave.load()["tables"][table])
    dropped = DROPPED.get(table, set())
    if table == "speedup.csv":
        assert not any(value for name in dropped for value in before[name])
    expected = {REWORDED.get(table, {}).get(name, name): v for name, v in before.items() if name not in dropped}
    reported = columns((made.page.parent / table).read_text(encoding="utf-8"))
    reported.pop("run_id", None)
    for name in ADDED.get(table, []):
        assert any(reported.pop(name))
    if table == "pairs.csv":
        expected, reported = (
            {name: [MARKS.sub("", value) for value in values] for name, values in columns.items()}
            for columns in (expected, reported)
        )
    assert list(reported) == list(expected)
    assert reported == expected


def test_pairs_of_the_tuned_and_the_untuned_have_daggers_and_no_stars(made: Report):
    accuracy = csv.DictReader((made.page.parent / "accuracy.csv").read_text(encoding="utf-8").splitlines())
    tuned = {(row["method"], row["rank"]): row["parameters"] for row in accuracy}
    assert (tuned["admm", "2"], tuned["closed", "2"]) == ("tuned, 1 evaluation", "tuned, 3 evaluations")
    assert tuned["admm", "5"] == "as given"
    for row in csv.DictReader((made.page.parent / "pairs.csv").read_text(encoding="utf-8").splitlines()):
        for name, value in row.items():
            if name not in ("rank", "parameters") and value:
                both = tuned["closed", row["rank"]], tuned[name.removeprefix("closed − "), row["rank"]]
                assert value.endswith("†") == (len({text == "as given" for text in both}) == 2)
    statistics = (made.page.parent / "statistics.csv").read_text(encoding="utf-8")
    assert "tuned against untuned (closed: tuned, 3 evaluations; admm: as given)" in statistics
    assert "tuned, 3 and 1 evaluations" in statistics
    page = made.page.read_text(encoding="utf-8")
    assert page.count("no part of the correction, 7 of 10 pairs: 7 tuned against untuned.") == 2


def test_no_table_is_missing_and_two_are_new(made: Report):
    assert {path.name for path in made.page.parent.glob("*.csv")} == {
        *first_wave.load()["tables"], "statistics.csv", "popularity.csv",
    }  # fmt: skip


def test_left_out_lines(made: Report):
    assert made.left_out[-1] == "1 timed cell: diverged before the last epoch"
    missing = {line.split()[0]: line for line in made.left_out[:-1]}
    assert list(missing) == ["admm", "zero_diag", "unconstrained"]
    assert missing["admm"].startswith("admm has no finished cell at rank 3, full; run python -m edlae_sweeps ")


def test_every_figure_is_made(made: Report):
    names = {path.stem for path in made.page.parent.glob("*.png")}
    assert names == {"figure1", "rivals", "training", "epochs", "diagonal", "proposition"}


def test_runs_keep_their_names_tags_and_parents(made: Report):
    client = MlflowClient(f"sqlite:///{made.page.parents[2] / 'mlflow.db'}")
    experiment = client.get_experiment_by_name(first_wave.EXPERIMENT)
    frozen = first_wave.load()["runs"]
    runs = list(client.search_runs([experiment.experiment_id], order_by=["start_time ASC"]))[: len(frozen)]
    assert [run.info.run_name for run in runs] == [run["name"] for run in frozen]
    names = {run.info.run_id: run.info.run_name for run in runs}
    frozen_names = {run["id"]: run["name"] for run in frozen}
    for run, before in zip(runs, frozen, strict=True):
        parent, parent_before = run.data.tags.pop("mlflow.parentRunId", None), before["tags"].get("mlflow.parentRunId")
        assert names.get(parent) == frozen_names.get(parent_before)
        kept = {name: value for name, value in before["tags"].items() if name != "mlflow.parentRunId"}
        assert kept.items() <= run.data.tags.items()
        assert run.data.params == before["params"]
