"""The report on cells of several splits, tuned and untuned: what is a repeat, what is compared, what is left out."""

import csv
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import pytest
from made_up import DATASET, Cell, experiment, log

from edlae_sweeps.reporting import Report, report
from edlae_sweeps.reporting.collect import collect
from edlae_sweeps.reporting.reader import Reader
from edlae_sweeps.reporting.splits import find_splits, split_rows
from edlae_sweeps.reporting.statistics import over_splits
from edlae_sweeps.tracking import Store

RANDOM = np.random.default_rng(0)
USERS = RANDOM.random(50)
OVERLAP = 200 / 1600
# Mean test nDCG@100 by method, rank and split seed: 7 has more cells than the others, and is the one that is reported.
MEANS = {
    ("closed", 2): {1: 0.50, 2: 0.52, 7: 0.51},
    ("closed", "full"): {1: 0.60, 2: 0.62, 7: 0.61},
    ("admm", 2): {1: 0.49, 2: 0.50, 7: 0.52},
    ("admm", "full"): {7: 0.60},
    ("deql", 2): {1: 0.51, 2: 0.53, 7: 0.49},
}


def values(average: float) -> np.ndarray:
    """Values of 50 users with this mean."""
    return USERS - USERS.mean() + average


def cells() -> list[Cell]:
    """Three splits of the same data, and cells that are not of these."""
    made = []
    for (method, rank), means in MEANS.items():
        for seed, average in means.items():
            # On split 2, deql alone is untuned; on split 7, it has fewer evaluations.
            evaluations = {2: None, 7: 5}.get(seed, 20) if method == "deql" else 20
            epochs = 2 if method == "admm" else 0
            made.append(Cell(method, rank, values(average), evaluations, config={"split_seed": seed}, epochs=epochs))
    worse = Cell("closed", 2, values(0.9), validation=0.1, config={"split_seed": 2})
    own_start = {"split_seed": 1, "start": {"closed": {"l2": 1}}}
    return [
        *made,
        # Validates worse than the other cell of its split.
        worse,
        # Start values and search ranges do not change the split.
        Cell("closed", 2, values(0.9), validation=0.1, config=own_start),
        # Others by their filter, data, type.
        Cell("closed", 2, values(0.5), config={"split_seed": 3, "min_user_events": 10}),
        Cell("closed", 2, values(0.5), config={"split_seed": 4}, events=9_001),
        Cell("closed", 2, values(0.5), config={"split_seed": 1}, dtype="float64"),
    ]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, files = tmp_path_factory.mktemp("splits"), tmp_path_factory.mktemp("files")
    target = experiment(folder)
    for cell in cells():
        log(target, cell, files)
    return folder


@pytest.fixture(scope="module")
def made(store: Path) -> Report:
    return report(Store(None, store), DATASET, store / "reports", lambda *_: None)


def rows(made: Report, table: str) -> list[dict[str, str]]:
    with (made.page.parent / f"{table}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_other_seeds_are_repeats_and_other_settings_are_not(store, tmp_path):
    target = experiment(store)
    collected, reader = collect(target), Reader(target, tmp_path)
    splits = find_splits(collected, reader)
    assert list(splits.cells) == [1, 2, 7]
    assert (splits.reported, splits.overlap) == (7, OVERLAP)
    assert splits.cells[7] == collected.best
    assert {row.cells[0].order[2] for row in split_rows(collected, splits)} == {2, float("inf")}


def test_what_is_no_repeat_is_left_out_by_name(made):
    lines = [line for line in made.left_out if " with data_digest " in line]
    assert len(lines) == 3
    assert all(line.startswith("1 cell with ") for line in lines)
    assert sum("dtype float64" in line for line in lines) == 1
    missing = [line for line in made.left_out if line not in lines]
    assert [line.split()[0] for line in missing] == ["zero_diag", "unconstrained"]
    data = f"dataset=interactions dataset.path=FILE dataset.name={DATASET} dataset.split_seed=7"
    assert all(f"run python -m edlae_sweeps {data} method=" in line for line in missing)


def test_the_other_tables_are_about_one_split(made):
    table = rows(made, "accuracy")
    expected = {(method, str(rank)): means[7] for (method, rank), means in MEANS.items()}
    assert {(row["method"], row["rank"]): float(row["nDCG@100 ± SE"].split()[0]) for row in table} == expected
    page = made.page.read_text(encoding="utf-8")
    assert "is about the split of seed 7" in page
    assert "The store has 3 splits of these data" in page
    assert "<code>dataset.split_seed=7</code>: it has the most finished cells" in page


def test_spread_over_splits_and_differences_within_each(made):
    table = {(row["method"], row["rank"]): row for row in rows(made, "splits")}
    assert set(table) == {(method, str(rank)) for method, rank in MEANS}
    closed, admm = MEANS["closed", 2], MEANS["admm", 2]
    row = table["admm", "2"]
    assert (row["splits"], row["mean"], row["SD"]) == (
        "3", f"{mean(admm.values()):.4f}", f"{stdev(admm.values()):.4f}",
    )  # fmt: skip
    assert row["range"] == "0.4900 to 0.5200"
    differences = [closed[seed] - admm[seed] for seed in closed]
    low, high = over_splits(differences, OVERLAP)
    assert row["closed − method"] == f"{mean(differences):+.4f}"
    assert row["SD of differences"] == f"{stdev(differences):.4f}"
    assert row["95 % interval"] == f"{low:+.4f} to {high:+.4f}"
    assert row["same sign"] == "2 of 3"
    assert row["parameters"] == "tuned, 20 evaluations"
    alone = table["admm", "full"]
    assert [alone[name] for name in ("splits", "SD", "closed − method", "95 % interval", "same sign")] == [
        "1", "", "+0.0100", "", "1 of 1",
    ]  # fmt: skip
    assert table["closed", "2"]["closed − method"] == ""
    assert "Some rows lack splits: compare methods by the differences" in made.page.read_text(encoding="utf-8")


def test_a_split_on_which_one_of_two_is_tuned_gives_no_difference(made):
    (row,) = (row for row in rows(made, "splits") if row["method"] == "deql")
    closed, deql = MEANS["closed", 2], MEANS["deql", 2]
    assert (row["splits"], row["same sign"]) == ("3", "1 of 2")
    assert row["SD of differences"] == f"{stdev(closed[seed] - deql[seed] for seed in (1, 7)):.4f}"
    assert row["parameters"] == "tuned, 20 evaluations; as given; tuned, 5 evaluations"
    page = made.page.read_text(encoding="utf-8")
    assert "1 difference of cells of a split that were not tuned alike: not shown" in page


def test_unlike_numbers_of_evaluations_are_both_shown(made):
    tuning = {(row["reference − competitor"], row["rank"]): row["parameters"] for row in rows(made, "statistics")}
    assert tuning["closed − deql", "2"] == "tuned, 20 and 5 evaluations"
    assert tuning["closed − admm", "2"] == "tuned, 20 evaluations"


def test_figures_over_splits_and_of_rivals(made):
    names = {path.stem for path in made.page.parent.glob("*.png")}
    assert {"figure1", "rivals", "splits"} <= names
    drawn = {name: (made.page.parent / f"{name}.svg").read_text(encoding="utf-8") for name in ("figure1", "rivals")}
    assert ("DEQL" in drawn["figure1"], "ADMM" in drawn["figure1"]) == (False, True)
    assert ("DEQL" in drawn["rivals"], "ADMM" in drawn["rivals"]) == (True, False)
    assert all("closed form" in text for text in drawn.values())


def test_artifacts_of_a_local_store_are_read_where_they_are(store, tmp_path, monkeypatch):
    monkeypatch.setattr("mlflow.MlflowClient.download_artifacts", None)
    assert report(Store(None, store), DATASET, tmp_path, lambda *_: None).page.exists()


def test_without_pairs_there_are_no_statistics(store, tmp_path):
    log(experiment(store, "alone"), Cell("deql", 2, values(0.5)), tmp_path)
    made = report(Store(None, store), "alone", tmp_path, lambda *_: None)
    assert (made.page.parent / "pairs.csv").exists()
    assert not (made.page.parent / "statistics.csv").exists()
    assert "Holm" not in made.page.read_text(encoding="utf-8")


@pytest.mark.parametrize("damage", [Path.unlink, lambda file: file.write_bytes(file.read_bytes()[:100])])
def test_a_lost_artifact_is_named_with_its_run_and_the_rest_is_shown(store, tmp_path, damage):
    name = f"lost {tmp_path.name}"
    target = experiment(store, name)
    for method in ("closed", "deql", "dan"):
        log(target, Cell(method, 2, values(0.5)), tmp_path)
    run = next(run for run in target.find("tags.kind = 'cell'") if run.params["method"] == "deql")
    damage(run.local("per_user.npz"))
    made = report(Store(None, store), name, tmp_path, lambda *_: None)
    (line,) = (line for line in made.left_out if "per_user.npz" in line)
    assert line.startswith(f"what needs per_user.npz of run {run.id} (deql, rank 2), which is gone or damaged: ")
    assert "skip_finished=false" in line
    assert line in made.page.read_text(encoding="utf-8")
    (row,) = rows(made, "pairs")
    assert list(row) == ["rank", "closed − dan", "parameters"]
    # Equal values have a difference of 0, which has no sign.
    assert row["closed − dan"] == "0.0000 ± 0.0000"
    assert {row["method"] for row in rows(made, "accuracy")} == {"closed", "deql", "dan"}


@pytest.mark.parametrize("gone", [None, "config.yaml", "dataset.json"])
def test_one_split_or_unknown_settings_give_no_rows(store, tmp_path, gone):
    target = experiment(store, f"without {gone}")
    for seed in (1,) if gone is None else (1, 2):
        log(target, Cell("closed", 2, values(0.5), config={"split_seed": seed}), tmp_path)
    for file in store.glob(f"artifacts/without {gone}/**/{gone}"):
        file.unlink()
    collected, reader = collect(target), Reader(target, tmp_path)
    splits = find_splits(collected, reader)
    assert (splits.cells, splits.reported) == ({}, None)
    assert split_rows(collected, splits) == []
    assert len(splits.left_out) == (gone is not None)
