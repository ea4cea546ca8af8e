"""Runs of other programs in the store, and runs whose artifacts are gone: the others are reported and registered."""

import logging
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import made_up
import numpy as np
import pytest
from made_up import DATASET, Cell

from edlae_sweeps.disk import OLD_SECONDS, temporary
from edlae_sweeps.jobs.registration import best_cell
from edlae_sweeps.reporting import report
from edlae_sweeps.tracking import Experiment, Store

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
