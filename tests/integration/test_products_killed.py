"""Fits from products with X that are stopped: what is recorded stays, and the same command gives the same result."""

import random
import signal
import time
from pathlib import Path

import pytest

from .conftest import all_runs, wait_until
from .test_resume import begun, check_same, evaluations

# Enough events that several threads multiply.
DATA = ("dataset=synthetic", "dataset.n_users=2000", "dataset.n_items=600", "dataset.mean_events=40",
        "dataset.topics=5", "dataset.heldout_users=150", "dtype=float64")  # fmt: skip
SEARCH = (*DATA, "gram=products", "rank=[2,8]", "tune=optuna", "tune.n_trials=8", "method.probes=32",
          "method.exact_items=40")  # fmt: skip
# Conjugate gradients at work for minutes.
LONG = ("dataset=synthetic", "dataset.n_users=20000", "dataset.n_items=8000", "dataset.mean_events=60",
        "dataset.topics=20", "gram=products", "rank=300", "method.l2=1", "method.cg_tol=1e-5")  # fmt: skip


def finish(start, folder: Path) -> None:
    job = start(*SEARCH, folder=folder)
    _, err = job.communicate(timeout=300)
    assert job.returncode == 0, err


@pytest.mark.slow
def test_a_killed_search_loses_and_repeats_nothing(start, tmp_path, new_store):
    moments = random.Random(0)
    calm, stormy = tmp_path / "calm", tmp_path / "stormy"
    calm.mkdir()
    finish(start, calm)
    expected = evaluations(calm)
    assert len(expected) == 8

    # The database exists before the job starts, so that reading it here can't disturb its creation.
    new_store(stormy / "mlruns")
    before = 0
    for how in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
        job = start(*SEARCH, folder=stormy)

        def due(job=job, before=before) -> bool:
            return job.poll() is not None or (begun(stormy, job.pid) and len(evaluations(stormy)) > before)

        wait_until(due, 120)
        time.sleep(moments.uniform(0, 0.3))
        assert job.poll() is None
        job.send_signal(how)
        job.communicate(timeout=60)
        # No finished evaluation is lost.
        done = len(evaluations(stormy))
        assert done > before
        before = done
    finish(start, stormy)

    check_same(stormy, calm, expected)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_conjugate_gradients_stop_at_once(start, tmp_path, new_store, number):
    new_store(tmp_path / "mlruns")
    job = start(*LONG)
    wait_until(lambda: job.poll() is not None or any(run.info.status == "RUNNING" for run in all_runs(tmp_path)), 120)
    # Past the baseline.
    time.sleep(5)
    assert job.poll() is None
    job.send_signal(number)
    _, err = job.communicate(timeout=30)
    assert job.returncode == 128 + number
    assert "Traceback" not in err
    assert [run.info.status for run in all_runs(tmp_path)] == ["KILLED"]
