"""A search on a Dask cluster, one of whose workers is killed, has the records of one process."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from .conftest import all_runs, free_port, wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

# Large enough that a worker can be killed within an evaluation.
SEARCH = ("dataset=synthetic", "dataset.n_users=9000", "dataset.n_items=1500", "dataset.heldout_users=500",
          "rank=[5,20]", "tune=optuna", "tune.n_trials=8", "tune.batch=4", "threads=1")  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    pytest.importorskip("distributed", reason="needs the extra cluster")


def dask(*arguments: str, folder: Path, **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "dask", *arguments, "--no-dashboard"],
        cwd=folder,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


@contextmanager
def cluster(folder: Path, failures: str = "0") -> Iterator[tuple[str, subprocess.Popen, subprocess.Popen]]:
    """A scheduler and two workers with a nanny each: the address, the scheduler and the parent of the workers."""
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    setting = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": failures}
    scheduler = dask("scheduler", "--host", "127.0.0.1", "--port", str(port), folder=folder, **setting)
    workers = dask("worker", address, "--nworkers", "2", "--nthreads", "1", "--host", "127.0.0.1", folder=folder)
    try:
        yield address, scheduler, workers
    finally:
        for process in (workers, scheduler):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def records(folder: Path) -> list[dict]:
    found = []
    for run in all_runs(folder):
        if run.data.tags["kind"] == "evaluation" and run.info.status == "FINISHED":
            record = json.loads(run.data.tags["record.0"])
            del record["seconds"]
            found.append(record)
    return sorted(found, key=lambda record: record["number"])


def cells(folder: Path) -> dict[str, tuple]:
    runs = [run for run in all_runs(folder) if run.data.tags["kind"] == "cell" and run.info.status == "FINISHED"]
    return {run.data.params["rank"]: (run.data.params, run.data.metrics["test/ndcg_100"]) for run in runs}


def finish(start, folder: Path, *arguments: str) -> str:
    folder.mkdir(exist_ok=True)
    _, err = (job := start(*SEARCH, *arguments, folder=folder)).communicate(timeout=400)
    assert job.returncode == 0, err
    return err


def test_a_search_with_a_killed_worker(start, tmp_path, new_store):
    finish(start, tmp_path / "alone")
    spread = tmp_path / "spread"
    spread.mkdir()
    new_store(spread / "mlruns")
    with cluster(tmp_path) as (address, _, workers):
        job = start(*SEARCH, "parallel=dask", f"parallel.scheduler={address}", folder=spread)
        wait_until(lambda: job.poll() is not None or len(records(spread)) >= 1, 120)
        worker = next(child for child in psutil.Process(workers.pid).children() if "spawn_main" in str(child.cmdline()))
        worker.kill()
        _, err = job.communicate(timeout=400)
        assert job.returncode == 0, err
        assert records(spread) == records(tmp_path / "alone")
        assert cells(spread) == cells(tmp_path / "alone")
        assert "RUNNING" not in {run.info.status for run in all_runs(spread)}
        # A larger search goes on there, on the same workers.
        finish(start, spread, "tune.n_trials=9", "parallel=dask", f"parallel.scheduler={address}")
    finish(start, tmp_path / "alone", "tune.n_trials=9")
    assert records(spread) == records(tmp_path / "alone")


def test_a_scheduler_that_is_not_there_or_goes_away(start, tmp_path, new_store):
    new_store(tmp_path / "mlruns")
    job = start(*SEARCH, "parallel=dask", f"parallel.scheduler=tcp://127.0.0.1:{free_port()}")
    _, err = job.communicate(timeout=120)
    assert job.returncode == 2
    assert "no Dask scheduler answers there" in err.splitlines()[-1]
    assert all_runs(tmp_path) == []
    with cluster(tmp_path) as (address, scheduler, _):
        job = start(*SEARCH, "parallel=dask", f"parallel.scheduler={address}")
        wait_until(lambda: job.poll() is not None or len(records(tmp_path)) >= 1, 120)
        os.killpg(scheduler.pid, signal.SIGKILL)
        _, err = job.communicate(timeout=120)
    assert job.returncode == 2, err
    assert "the scheduler went away; start the job again to continue" in err.splitlines()[-1]
    assert "RUNNING" not in {run.info.status for run in all_runs(tmp_path)}


def test_workers_with_too_little_memory_are_refused(start, tmp_path, new_store):
    new_store(tmp_path / "mlruns")
    with cluster(tmp_path) as (address, _, workers):
        os.killpg(workers.pid, signal.SIGKILL)
        small = dask("worker", address, "--memory-limit", "600MB", "--host", "127.0.0.1", folder=tmp_path)
        try:
            _, err = (job := start(*SEARCH, "parallel=dask", f"parallel.scheduler={address}")).communicate(timeout=120)
        finally:
            os.killpg(small.pid, signal.SIGKILL)
            small.wait()
    assert job.returncode == 2
    assert "start workers with a higher --memory-limit" in err.splitlines()[-1]
