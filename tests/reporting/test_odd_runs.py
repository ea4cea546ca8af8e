"""Runs of other programs in the store, and runs whose artifacts are gone: the others are reported and registered."""

import logging
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import made_up
import numpy as np
import pytest
from made_up import DATASET, Cell

from edlae_sweeps.disk import OLD_SECONDS, temporary
from edlae_sweeps.jobs.registration import best_cell
from edlae_sweeps.reporting import report
from edlae_sweeps.reporting.collect import Collected, StoredCell
from edlae_sweeps.reporting.splits import find_splits
from edlae_sweeps.tracking import Experiment, Store, StoredRun

CLOSED = Cell("closed", 5, np.linspace(0, 1, 40))
ADMM = Cell("admm", 5, np.linspace(0, 0.9, 40), epochs=3)


@pytest.fixture
def experiment(tmp_path: Path, new_store) -> Experiment:
    """An experiment with good cells, and odd runs that say they are cells too."""
    new_store(tmp_path)
    target = made_up.experiment(tmp_path)
    for cell in (CLOSED, ADMM):
        made_up.log(target, cell, tmp_path)
    values, tags = CLOSED.values(), CLOSED.tags()
    target.record("nothing", {"kind": "cell"}, {}, [])
    target.record("auto", {**tags, "run_key": "a"}, {**CLOSED.params(), "l2": "auto"}, list_of(values))
    # Better than the others, of methods and with metrics that have more to them.
    better = {**values, "validation/ndcg_100": 0.99, "eq7/lower_bound": 1.0, "train/ratio": 2.0}
    for method in ("admm", "zero_diag", "deep", "someone's"):
        params = {**ADMM.params(), "method": method, "rank": 4}
        target.record(f"odd {method}", {**tags, "run_key": method}, params, list_of(better))
    bare = {name: CLOSED.params()[name] for name in ("dataset", "method", "dtype")}
    target.record("bare", {**tags, "run_key": "b"}, {**bare, "rank": 4}, list_of(better))
    return target


def list_of(values: dict[str, float]) -> list[tuple[str, float, int]]:
    return [(name, value, 0) for name, value in values.items()]


def half_written(folder: Path) -> Path:
    """What a process that is gone left of a report, a day ago; no process has a number as large as this."""
    place = temporary(folder / DATASET)
    place = place.with_name(place.name.replace(f"-{os.getpid()}-", f"-{2**30}-"))
    place.mkdir(parents=True)
    old = time.time() - OLD_SECONDS - 60
    os.utime(place, (old, old))
    return place


def skipped(caplog: pytest.LogCaptureFixture) -> list[str]:
    lines = [record.getMessage() for record in caplog.records]
    return sorted(line.split(" is skipped: ")[1] for line in lines if " is skipped: " in line)


@pytest.mark.usefixtures("experiment")
def test_the_report_is_of_the_others(tmp_path, caplog):
    left = half_written(tmp_path / "reports")
    with caplog.at_level(logging.WARNING):
        made = report(Store(None, tmp_path), DATASET, tmp_path / "reports", lambda *_: None)
    assert made.page.is_file()
    assert not left.exists()
    assert [path.name for path in (tmp_path / "reports").iterdir()] == [DATASET]
    assert skipped(caplog) == ["it has no parameter dataset", "its l2 is auto"]
    accuracy = (made.page.parent / "accuracy.csv").read_text()
    assert "closed,5," in accuracy
    assert "admm,5," in accuracy


def test_a_cell_whose_artifacts_are_gone_is_not_registered(experiment, tmp_path, caplog):
    best = Cell("closed", 6, np.linspace(0.5, 1, 40))
    made_up.log(experiment, best, tmp_path)
    run = next(run for run in experiment.cells() if run.params["rank"] == "6")
    store = Store(None, tmp_path)
    methods = ["closed"]
    odd = {run.id for run in experiment.find("tags.run_key = 'b'")}
    with caplog.at_level(logging.WARNING):
        assert best_cell(store, DATASET, methods).cell.id == run.id
        shutil.rmtree(tmp_path / "artifacts" / DATASET / run.id)
        candidate = best_cell(store, DATASET, methods)
    assert candidate.cell.params["rank"] == "5"
    gone = {record.getMessage().split()[1] for record in caplog.records if "artifact per_user.npz" in record.message}
    assert gone == {run.id, *odd}


def test_of_equal_cells_the_newest_with_a_model_is_registered(tmp_path, new_store):
    new_store(tmp_path)
    target = made_up.experiment(tmp_path)
    for number in range(3):
        made_up.log(target, replace(CLOSED, config={"heldout_users": 200}), tmp_path)
        if number == 1:
            target.client.set_tag(target.cells()[-1].id, "model", "kept")
    cells = target.cells()
    assert best_cell(Store(None, tmp_path), DATASET, None).cell.id == cells[1].id


ODD_METRICS = (
    {"residual/diagonal": 0.5},
    {"diagonal/median": 0.0},
    {"eq7/lower_bound": 0.0, "eq7/polished": 0.0, "train/objective": 0.0},
    {"tune/evaluations": float("nan")},
)
DEEP = {"activation": "relu", "last_linear": "True", "batch_norm": "True", "init": "svd", "row_weights": "none"}
TRIAL = dict.fromkeys(("train/ratio", "train/start_ratio", "train/bound", "train/epochs"), 1.0)


def odd_files(folder: Path, method: str, values: np.ndarray) -> list[Path]:
    """The artifacts of a cell with these values of its users."""
    files = Cell(method, 5, CLOSED.ndcg).write(folder)
    np.savez_compressed(folder / "per_user.npz", users=np.arange(40), ndcg_100=values)
    return files


def test_odd_values_and_files_keep_no_report_from_the_others(tmp_path, new_store, caplog):
    new_store(tmp_path)
    target = made_up.experiment(tmp_path)
    made_up.log(target, CLOSED, tmp_path)
    values, tags, params = CLOSED.values(), CLOSED.tags(), CLOSED.params()
    for number, odd in enumerate(ODD_METRICS):
        made = {**params, "rank": 6 + number, "tune": "optuna"}
        target.record("odd", {**tags, "run_key": f"m{number}"}, made, list_of({**values, **odd}))
    some = {name: value for name, value in values.items() if name != "test/recall_20_se"}
    target.record("no error", {**tags, "run_key": "e"}, {**params, "rank": 2}, list_of(some))
    for hidden in ("all", "[[1]]"):
        made = {**params, **DEEP, "method": "deep", "hidden": hidden}
        target.record("deep", {**tags, "run_key": hidden}, made, list_of({**values, **TRIAL}))
    for method, users in (("dan", CLOSED.ndcg[:9]), ("deql", np.full(40, "a")), ("ials", np.ones((40, 40)))):
        files = odd_files(tmp_path, method, users)
        target.record(method, {**tags, "run_key": method}, {**params, "method": method}, list_of(values), files=files)
    # The last in the order of methods has no summary of the data.
    target.record("last", {**tags, "run_key": "z"}, {**params, "method": "someone's"}, list_of(values))
    with caplog.at_level(logging.WARNING):
        report_of = report(Store(None, tmp_path), DATASET, tmp_path / "reports", lambda *_: None)
    folder = report_of.page.parent
    assert skipped(caplog) == ["its metric tune/evaluations is nan"]
    lost = sorted(line.split("(")[1].split(",")[0] for line in report_of.left_out if "per_user.npz" in line)
    assert lost == ["closed", "closed", "closed", "closed", "dan", "deql", "ials", "someone's"]
    assert {path.stem for path in folder.glob("*.csv")} == {"accuracy", "pairs", "diagonal", "dataset", "numbers"}
    assert "heldout users,200" in (folder / "dataset.csv").read_text(encoding="utf-8")
    assert "closed,8," in (folder / "accuracy.csv").read_text(encoding="utf-8")


DATA = {"users": 9, "training_users": 5, "heldout_users": 2, "events": 9}


@pytest.mark.parametrize(
    ("settings", "counts"),
    [
        (["split_seed", "split_seed"], DATA),
        ([{"split_seed": [1]}, {"split_seed": [2]}], DATA),
        ([{"split_seed": 1, 3: 4, "a": 5}, {"split_seed": 2, 3: 4, "a": 5}], DATA),
        ([{"split_seed": 1}, {"split_seed": 2}], {**DATA, "training_users": 0}),
        ([{"split_seed": 1}, {"split_seed": 2}], {**DATA, "heldout_users": "two"}),
    ],
)
def test_cells_whose_split_can_not_be_told_have_no_others(settings, counts):
    cells = [
        StoredCell("closed", 2, StoredRun(digest, {"dtype": "float32"}, {}, {"data_digest": digest}, "n"))
        for digest in ("a", "b")
    ]
    trees = {digest: {"config.yaml": {"dataset": value}} for digest, value in zip("ab", settings, strict=True)}
    reader = SimpleNamespace(tree=lambda cell, name: trees[cell.run.id].get(name, counts))
    splits = find_splits(Collected(cells[:1], [], [], {cells[1].protocol: cells[1:]}), reader)
    assert not splits.cells
    assert len(splits.left_out) == 1
