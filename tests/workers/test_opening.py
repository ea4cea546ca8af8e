"""How many workers a job gets, and what each may use."""

import sys

import pytest

from edlae_sweeps.datasets import Synthetic
from edlae_sweeps.errors import ConfigError, MissingExtra
from edlae_sweeps.linalg import device, on_cpu
from edlae_sweeps.resources import GIB, Resources
from edlae_sweeps.workers import Bench, Here, Spread, opening
from edlae_sweeps.workers.bench import Place
from edlae_sweeps.workers.opening import _device, fitting, open_pool, sharing


class Data:
    digest = "d"


def bench(memory: float, threads: int = 8) -> Bench:
    return Bench(Data(), None, Resources(threads, int(memory * GIB)))


@pytest.fixture(autouse=True)
def _eight_processors(monkeypatch):
    monkeypatch.setattr(opening, "processors", lambda: 8)


def opened(settings, memory: float = 100, needed: float = 2, threads: int = 8) -> tuple[int, int, float | None]:
    """Workers, threads of one of eight tasks, and GiB of each."""
    with open_pool(settings, bench(memory, threads), int(needed * GIB)) as pool:
        if isinstance(pool, Here):
            return 1, threads, None
        assert isinstance(pool, Spread)
        place = pool._engine.place(pool._place, 8)
        return pool.workers, place.threads, place.memory / GIB


@pytest.mark.parametrize(
    ("overrides", "memory", "expected"),
    [
        (["parallel=off"], 100, (1, 8, None)),
        (["parallel=processes", "threads=null"], 101, (8, 1, 12.5)),
        (["parallel=processes", "threads=null", "parallel.workers=2"], 101, (2, 4, 50)),
        (["parallel=processes", "threads=null", "parallel.workers=3"], 7, (3, 2, 2)),
        (["parallel=processes", "threads=null", "parallel.workers=1"], 100, (1, 8, None)),
    ],
)
def test_workers_share_processors_and_memory(settings, overrides, memory, expected):
    assert opened(settings(*overrides), memory) == expected


def test_threads_that_are_given_are_those_of_each_worker(settings):
    assert opened(settings("parallel=processes", "threads=2"), 9, threads=2) == (4, 2, 2)
    assert opened(settings("parallel=processes", "threads=1", "parallel.workers=2"), 101, threads=1) == (2, 1, 50)


def test_fewer_threads_in_the_environment_hold_in_workers(settings):
    job = settings("parallel=processes", "threads=null", "parallel.workers=2")
    assert opened(job, 101, threads=1) == (2, 1, 50)


def test_the_memory_limits_the_workers_in_one_line(settings, caplog):
    job = settings("parallel=processes", "threads=null", "parallel.workers=4")
    assert opened(job, memory=6) == (2, 4, 2.5)
    assert caplog.messages == ["parallel.workers: 2 of 4: each needs about 2.0 GiB, and 5.0 GiB are available"]
    assert opened(job, memory=3.5) == (1, 8, None)
    assert fitting(4, -1, GIB) == 1


def test_dask_needs_an_extra(settings, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    job = settings("parallel=dask", "parallel.scheduler=tcp://127.0.0.1:1")
    with pytest.raises(MissingExtra, match="parallel=dask needs Dask, an extra: pip install"):
        opened(job)


def on_gpu(free: float) -> Resources:
    return Resources(8, 100 * GIB, "cuda", int(free * GIB), may_fall_back=True)


@pytest.mark.parametrize(
    ("free", "arrays", "expected"), [(80, 4, 8), (80, 15, 5), (40, 15, 2), (20, 15, 1), (20, 50, 1)]
)
def test_workers_share_a_gpu(caplog, free, arrays, expected):
    assert sharing(8, on_gpu(free), arrays * GIB) == expected
    told = f"parallel.workers: {expected} of 8: each needs about {arrays}.0 GiB of the GPU, and {free}.0 GiB are free"
    assert caplog.messages == ([] if expected == 8 else [told])
    assert sharing(8, Resources(8, GIB), arrays * GIB) == 8


def test_each_worker_has_its_share_of_the_gpu(settings):
    job = settings("parallel=processes", "threads=null", "device=auto", "parallel.workers=4")
    with open_pool(job, Bench(Data(), None, on_gpu(60)), 2 * GIB, 18 * GIB) as pool:
        place = pool._engine.place(pool._place, 8)
        assert (pool.workers, place.device, place.device_memory) == (3, "auto", 20 * GIB)
    with open_pool(job, Bench(Data(), None, on_gpu(20)), 2 * GIB, 18 * GIB) as pool:
        assert isinstance(pool, Here)


@pytest.mark.parametrize(
    ("overrides", "here", "expected"),
    [
        # A cluster may have GPUs, a process beside this one has not.
        (["parallel=dask"], Resources(8, GIB), "auto"),
        (["parallel=processes"], Resources(8, GIB), "cpu"),
        (["parallel=processes"], on_gpu(8), "auto"),
        (["parallel=dask"], on_cpu(on_gpu(8)), "cpu"),
        (["parallel=dask", "method=admm_published"], Resources(8, GIB), "cpu"),
        (["parallel=dask", "gram=products", "rank=5"], Resources(8, GIB), "cpu"),
    ],
)
def test_the_device_of_workers(settings, overrides, here, expected):
    scheduler = ["parallel.scheduler=tcp://127.0.0.1:1"] if "parallel=dask" in overrides else []
    assert _device(settings("device=auto", *overrides, *scheduler), here) == expected


@pytest.mark.torch
def test_a_worker_without_the_gpu_of_the_job_says_so(monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setattr(device, "has_cuda", lambda: False)
    place = Place(Synthetic(), "", "float32", "", threads=1, memory=None, device="cuda")
    with pytest.raises(ConfigError, match="device=cuda: PyTorch sees no such device here"):
        place.bench()
