"""A sweep that is stopped at many random moments and restarted gives the result of an uninterrupted one."""

import json
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from .conftest import all_runs, wait_until

SWEEP = ("dataset=synthetic", "dataset.n_users=800", "dataset.n_items=150", "dataset.topics=5", "dtype=float64",
         "dataset.heldout_users=150", "rank=[2,5,full]", "tune=optuna", "tune.n_trials=20")  # fmt: skip


def finish(start, folder: Path) -> None:
    _, err = (job := start(*SWEEP, folder=folder)).communicate(timeout=300)
    assert job.returncode == 0, err


def evaluations(folder: Path) -> list[dict]:
    runs = [run for run in all_runs(folder) if run.data.tags["kind"] == "evaluation" and run.info.status == "FINISHED"]
    records = [json.loads(run.data.tags["record.0"]) for run in runs]
    return sorted(records, key=lambda record: record["number"])


def cells(folder: Path) -> dict[str, tuple]:
    runs = [run for run in all_runs(folder) if run.data.tags["kind"] == "cell" and run.info.status == "FINISHED"]
    names = [run.info.run_name.split()[0] for run in runs]
    assert not [name for name, count in Counter(names).items() if count > 1]
    return {
        name: (run.data.params["l2"], run.data.params["dropout"], run.data.metrics["test/ndcg_100"])
        for name, run in zip(names, runs, strict=True)
    }


def check_same(stormy: Path, calm: Path, expected: list[dict]) -> None:
    """The stores have the same evaluations, those `expected` of the calm one, and the same cells."""
    records = evaluations(stormy)
    for record in (*expected, *records):
        del record["seconds"]
    assert records == expected
    assert cells(stormy) == cells(calm)
    assert "RUNNING" not in {run.info.status for run in all_runs(stormy)}


@pytest.mark.slow
@pytest.mark.soak
def test_a_sweep_that_is_stopped_again_and_again(start, tmp_path, new_store):
    moments = random.Random(0)
    calm, stormy = tmp_path / "calm", tmp_path / "stormy"
    calm.mkdir()
    stormy.mkdir()
    finish(start, calm)
    expected = evaluations(calm)
    assert len(expected) == 20

    # The database exists before the job starts, so that reading it here can't disturb its creation.
    new_store(stormy / "mlruns")
    stopped, before = 0, 0
    while len(cells(stormy)) < 3:
        assert stopped < 40
        job = start(*SWEEP, folder=stormy)
        # After some more evaluations or in the cells after them, at a random moment of whatever is running then.
        target = before + moments.randint(0, 6)

        def due(job=job, target=target) -> bool:
            return job.poll() is not None or (
                begun(stormy, job.pid) and len(evaluations(stormy)) >= min(target, len(expected))
            )

        wait_until(due)
        # Once all points are evaluated, long enough now and then for a cell to be finished.
        time.sleep(moments.uniform(0, 0.2 if before < len(expected) else 5))
        if job.poll() is None:
            job.send_signal(moments.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT]))
            stopped += 1
        job.communicate(timeout=60)
        # No finished evaluation is lost or repeated.
        done = len(evaluations(stormy))
        assert done >= before
        before = done
    finish(start, stormy)
    assert stopped >= 3

    check_same(stormy, calm, expected)


def test_figure_1_in_small(start, tmp_path):
    size = ("dataset=synthetic", "dataset.n_users=500", "dataset.n_items=60", "dataset.heldout_users=80")
    job = start("experiment=figure1", *size, "rank=[2,5,full]", "tune.n_trials=2", folder=tmp_path)
    out, err = job.communicate(timeout=300)
    assert job.returncode == 0, err
    assert len(cells(tmp_path)) == 12
    assert all(name in out for name in ("closed", "admm", "zero_diag", "unconstrained"))


def begun(folder: Path, pid: int) -> bool:
    return any(run.data.tags["pid"] == str(pid) for run in all_runs(folder))
