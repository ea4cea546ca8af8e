"""A search in processes whose coordinator or workers are killed gives the records of one process."""

import random
import signal
import time
from pathlib import Path

import psutil
import pytest

from .conftest import all_runs, wait_until
from .test_parallel_dask import SEARCH, cells, finish, records

PROCESSES = ("parallel=processes", "parallel.workers=2")


def workers_of(pid: int) -> list[psutil.Process]:
    return [child for child in psutil.Process(pid).children() if "LokyProcess" in " ".join(child.cmdline())]


@pytest.mark.slow
@pytest.mark.soak
def test_coordinators_and_workers_that_are_killed(start, tmp_path, new_store):
    moments = random.Random(0)
    finish(start, tmp_path / "alone")
    stormy = tmp_path / "stormy"
    new_store(stormy / "mlruns")
    for number, how in enumerate((signal.SIGKILL, signal.SIGTERM, signal.SIGINT), 1):
        job = start(*SEARCH, *PROCESSES, folder=stormy)

        def due(job=job, number=number) -> bool:
            if job.poll() is not None:
                return True
            return len(workers_of(job.pid)) == 2 and len(records(stormy)) >= 2 * number - 1

        wait_until(due, 240)
        assert job.poll() is None
        time.sleep(moments.uniform(0, 0.3))
        workers = workers_of(job.pid)
        assert len(workers) == 2
        job.send_signal(how)
        job.communicate(timeout=120)
        assert psutil.wait_procs(workers, timeout=60)[1] == []
    last = start(*SEARCH, *PROCESSES, folder=stormy)
    _, err = last.communicate(timeout=400)
    assert last.returncode == 0, err
    # Where all points are still to be evaluated: later, it might be idle as it is killed.
    (tmp_path / "dead").mkdir()
    finish_with_a_dead_worker(start, tmp_path / "dead")
    for folder in (stormy, tmp_path / "dead"):
        assert records(folder) == records(tmp_path / "alone")
        assert cells(folder) == cells(tmp_path / "alone")
        assert "RUNNING" not in {run.info.status for run in all_runs(folder)}


def finish_with_a_dead_worker(start, folder: Path) -> None:
    """Finish the search; a worker is killed as soon as there is one."""
    job = start(*SEARCH, *PROCESSES, folder=folder)
    wait_until(lambda: job.poll() is not None or bool(workers_of(job.pid)), 120)
    time.sleep(1)
    workers_of(job.pid)[0].kill()
    _, err = job.communicate(timeout=400)
    assert job.returncode == 0, err
    assert "a worker died; " in err
