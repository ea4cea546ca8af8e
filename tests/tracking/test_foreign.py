"""Runs of other programs and damaged ones, which say that they are cells or evaluations: skipped, with one warning."""

import json
import logging
import socket
from dataclasses import replace
from types import SimpleNamespace

import pytest

from edlae_sweeps.process import machine
from edlae_sweeps.tracking.foreign import cell_problem, readable_cells
from edlae_sweeps.tracking.stored import StoredRun
from edlae_sweeps.tracking.watch import Watch
from edlae_sweeps.tuning.records import Evaluation, from_runs, to_tags

METRICS = dict.fromkeys(
    ("validation/ndcg_100", "test/ndcg_100", "test/ndcg_100_se", "test/recall_20", "test/recall_50",
     "train/squared_error", "time/fit_seconds"), 0.5,
)  # fmt: skip
CELL = StoredRun(
    "good",
    {"dataset": "d", "method": "closed", "rank": "10", "dtype": "float32", "l2": "1e2", "dropout": "0.1"},
    METRICS,
    {"kind": "cell", "run_key": "k", "data_digest": "d", "shared": "false"},
    "closed-k10",
)
EVALUATION = Evaluation(0, 10, {"l2": 1.0}, {10: {"ndcg_100": 0.5}, "full": {"ndcg_100": 0.6}}, 2.0)


def without(values: dict, name: str) -> dict:
    return {key: value for key, value in values.items() if key != name}


@pytest.mark.parametrize(
    ("run", "problem"),
    [
        (replace(CELL, params={}), "it has no parameter dataset"),
        (replace(CELL, params=without(CELL.params, "rank")), "it has no parameter rank"),
        (replace(CELL, params={**CELL.params, "rank": "[10,20]"}), "its rank is [10,20]"),
        (replace(CELL, params={**CELL.params, "rank": "0"}), "its rank is 0"),
        (replace(CELL, params={**CELL.params, "rank": "²"}), "its rank is ²"),
        (replace(CELL, params={**CELL.params, "rank": "9" * 5000}), "its rank is " + "9" * 40),
        (replace(CELL, params={**CELL.params, "rank": "\x1b[2J\n"}), r"its rank is \x1b[2J\n"),
        (replace(CELL, params={**CELL.params, "l2": "auto"}), "its l2 is auto"),
        (replace(CELL, params={**CELL.params, "dropout": "nan"}), "its dropout is nan"),
        (replace(CELL, tags={"kind": "cell"}), "it has no tag run_key"),
        (replace(CELL, metrics={}), "it has no metric validation/ndcg_100"),
        (replace(CELL, metrics={**METRICS, "test/ndcg_100": float("nan")}), "its metric test/ndcg_100 is nan"),
        (replace(CELL, metrics={**METRICS, "tune/evaluations": float("inf")}), "its metric tune/evaluations is inf"),
        (CELL, ""),
        (replace(CELL, params={**without(CELL.params, "l2"), "rank": "full"}), ""),
    ],
)
def test_what_no_reader_could_use_is_named(run, problem):
    assert cell_problem(run) == problem


def test_an_odd_cell_is_skipped_with_one_warning_that_names_it(caplog):
    odd = replace(CELL, id="odd-cell", params={})
    with caplog.at_level(logging.WARNING):
        assert readable_cells([odd, CELL]) == [CELL]
        assert readable_cells([CELL, odd]) == [CELL]
    assert [record.getMessage() for record in caplog.records] == [
        "run odd-cell is skipped: it has no parameter dataset"
    ]


@pytest.mark.parametrize(
    "tags",
    [
        {"machine": machine()},
        {"machine": machine(), "pid": "x", "pid_ticks": "1"},
        {"machine": machine(), "pid": "9" * 30, "pid_ticks": "1"},
        {"host": socket.gethostname(), "pid": "x", "pid_start": "soon"},
    ],
)
def test_tags_that_name_no_process_do_not_stop_the_search_for_orphans(tags):
    own = {"mlflow.source.name": "edlae_sweeps", **tags}
    run = SimpleNamespace(info=SimpleNamespace(run_id="odd"), data=SimpleNamespace(tags=own))
    assert Watch("http://127.0.0.1:9").gone([run]) == []


def recorded(run_id: str, tags: dict[str, str]) -> StoredRun:
    return StoredRun(run_id, {}, {}, tags, run_id)


def changed(**changes: object) -> dict[str, str]:
    record = {**json.loads(to_tags(EVALUATION)["record.0"]), **changes}
    return {"record.parts": "1", "record.0": json.dumps(record)}


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {"record.parts": "many"},
        {"record.parts": "2", "record.0": "{"},
        {"record.parts": "1", "record.0": "[]"},
        changed(point={"dropout": 0.5}),
        changed(point={"l2": "auto"}),
        changed(ranks={"10": {"recall_20": 0.5}}),
        changed(ranks={"ten": {"ndcg_100": 0.5}}),
        changed(ranks=3),
        changed(number=None),
        changed(number=float("inf")),
    ],
)
def test_an_odd_evaluation_is_skipped_with_a_warning_that_names_it(tags, caplog):
    runs = [recorded(f"odd {tags}", tags), recorded("good", to_tags(EVALUATION))]
    with caplog.at_level(logging.WARNING):
        assert from_runs(runs, ["l2"], "ndcg_100") == [EVALUATION]
    (line,) = (record.getMessage() for record in caplog.records)
    assert line.startswith(f"run odd {tags} is skipped: its record of an evaluation can't be read")
