"""Pools: results as they finish, exceptions of tasks, workers that die."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from edlae_sweeps.errors import DataError
from edlae_sweeps.workers import Bench, Died, Here, Spread
from edlae_sweeps.workers.bench import Place
from edlae_sweeps.workers.processes import LokyEngine

HEAVY = ("mlflow", "hydra", "omegaconf", "optuna", "matplotlib", "rich", "torch")


@pytest.fixture
def place(settings) -> Place:
    """Where the workers find a small data set."""
    from edlae_sweeps.datasets import load

    job = settings()
    digest = load(job.dataset, Path(job.data_dir)).digest
    return Place(job.dataset, digest, "float64", job.data_dir, threads=1, memory=None, device="cpu")


@pytest.fixture
def engine() -> Iterator[LokyEngine]:
    with LokyEngine(2, 2**31, 2).running() as engine:
        yield engine


def outcome(bench: Bench, task: int) -> tuple[int, int, int, float]:
    return task, bench.data.n_items, bench.resources.threads, bench.gram_seconds


def dies(_bench: Bench, task: tuple[str, int]) -> int:
    """Let the worker die while the marker of the task holds a number above 0, which each death lowers."""
    name, value = task
    marker = Path(name)
    left = int(marker.read_text()) if marker.exists() else 0
    if left:
        marker.write_text(str(left - 1))
        os._exit(1)
    time.sleep(0.2)
    return value


def fails(_bench: Bench, task: int) -> int:
    if task == 1:
        raise DataError("task 1: choose another")
    return task


def state(bench: Bench, _task: int) -> tuple[int, int, list[str]]:
    return os.getpid(), id(bench), [name for name in HEAVY if name in sys.modules]


def sleeps(_bench: Bench, task: float) -> float:
    time.sleep(task)
    return task


def test_this_process_does_one_task_after_another_when_it_is_asked_for():
    done = []
    results = Here("bench").run(lambda bench, task: done.append((bench, task)), [3, 4], 2)
    assert next(results) == (0, None)
    assert done == [("bench", 3)]
    assert list(results) == [(1, None)]


def test_workers_load_the_data_once_and_share_the_processors(engine, place):
    pool = Spread(engine, place)
    first = dict(pool.run(outcome, list(range(5)), 5))
    assert [first[index][:3] for index in range(5)] == [(index, 60, 1) for index in range(5)]
    benches = dict(pool.run(state, list(range(6)), 5)).values()
    assert 1 <= len({pid for pid, _, _ in benches}) <= 2
    assert len({pid for pid, _, _ in benches}) == len({(pid, bench) for pid, bench, _ in benches})
    assert os.getpid() not in {pid for pid, _, _ in benches}


def test_workers_import_no_application_framework():
    code = f"import edlae_sweeps.workers, sys; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"


def test_a_task_alone_has_all_processors():
    engine = LokyEngine(2, 2**30, 8)
    place = Place(None, "", "float32", "", threads=8, memory=None, device="cpu")
    assert [engine.place(place, at_once).threads for at_once in (1, 2, 3)] == [8, 4, 4]
    assert engine.place(place, 1).memory == 2**30
    assert LokyEngine(2, 2**30, None).place(place, 2).threads == 8


def test_results_come_as_they_finish(engine, place):
    pool = Spread(engine, place)
    list(pool.run(sleeps, [0, 0], 2))
    assert [index for index, _ in pool.run(sleeps, [3, 0.1, 0.1], 3)] == [1, 2, 0]


def test_an_exception_of_a_task_is_raised_here_with_its_traceback(engine, place):
    with pytest.raises(DataError, match="task 1: choose another") as error:
        list(Spread(engine, place).run(fails, [0, 1, 2], 3))
    assert "in fails" in str(error.value.__cause__)


def test_other_data_than_those_of_the_job_are_refused(engine, place):
    from dataclasses import replace

    with pytest.raises(DataError, match="synthetic: a worker has other data than the job"):
        list(Spread(engine, replace(place, digest="0")).run(outcome, [0], 1))


@pytest.mark.parametrize("deaths", [0, 1, 2])
def test_a_task_is_tried_again_once_if_its_worker_dies(engine, place, tmp_path, caplog, deaths):
    tasks = [(str(tmp_path / str(index)), index) for index in range(5)]
    (tmp_path / "1").write_text(str(deaths))
    results = dict(Spread(engine, place).run(dies, tasks, 5))
    assert sorted(results) == [0, 1, 2, 3, 4]
    assert [results[index] for index in (0, 2, 3, 4)] == [0, 2, 3, 4]
    if deaths == 2:
        assert results[1] == Died("its worker died twice; choose fewer parallel.workers, or free some memory")
    else:
        assert results[1] == 1
    assert ("a worker died" in caplog.text) == (deaths > 0)


def test_a_stop_leaves_no_worker(place):
    children = []

    def stopped() -> None:
        with LokyEngine(2, 2**31, 2).running() as engine:
            next(Spread(engine, place).run(sleeps, [0, 100, 100], 3))
            children.extend(c for c in psutil.Process().children() if "LokyProcess" in " ".join(c.cmdline()))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert len(children) == 2
    assert psutil.wait_procs(children, timeout=20)[1] == []


def test_workers_end_with_the_process_of_the_job(tmp_path):
    code = f"""
import os, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from edlae_sweeps.workers.processes import LokyEngine
engine = LokyEngine(1, 2**31, 1)
pid = engine.submit(os.getpid).result()
Path({str(tmp_path / "pid")!r}).write_text(str(pid))
os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=False)
    try:
        psutil.Process(int((tmp_path / "pid").read_text())).wait(20)
    except psutil.NoSuchProcess:
        return
