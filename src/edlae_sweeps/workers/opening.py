"""The pool that a job's settings ask for, with no more workers than the memory holds."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from edlae_sweeps.resources import GIB, PROCESS_BYTES, Device, Resources, processors
from edlae_sweeps.settings import Dask, Processes, Settings
from edlae_sweeps.workers.bench import Bench, Place
from edlae_sweeps.workers.cluster import DaskEngine
from edlae_sweeps.workers.pool import Engine, Here, Pool, Spread
from edlae_sweeps.workers.processes import LokyEngine

_log = logging.getLogger(__name__)


@contextmanager
def open_pool(settings: Settings, bench: Bench, needed: int, arrays: int = 0) -> Iterator[Pool]:
    """The workers of a job, which end with the block.

    `needed` is the memory of a task in bytes, and `arrays` that of its arrays, which are on the GPU if there is one.
    Raises WorkersError or MissingExtra if there are none.
    """
    engine = _engine(settings, bench.resources, needed, arrays)
    if engine is None:
        yield Here(bench)
        return
    place = Place(
        dataset=settings.dataset,
        digest=bench.data.digest,
        dtype=settings.dtype,
        data_dir=str(Path(settings.data_dir).expanduser().absolute()),
        threads=bench.resources.threads,
        memory=None,
        device=_device(settings, bench.resources),
        by_products=settings.by_products,
    )
    with engine.running():
        yield Spread(engine, place)


def _device(settings: Settings, resources: Resources) -> Device:
    """The device of the workers, each of which decides for itself with `auto`.

    Those of a cluster may have GPUs that this machine lacks. None takes one that the job gave up for its memory.
    """
    gave_up = resources.device == "cpu" and (resources.may_fall_back or not isinstance(settings.parallel, Dask))
    able = settings.method.on_device and not settings.by_products
    return settings.device if able and not gave_up else "cpu"


def _engine(settings: Settings, resources: Resources, needed: int, arrays: int) -> Engine | None:
    """The engine that `parallel` names; None for this process alone."""
    parallel = settings.parallel
    if isinstance(parallel, Dask):
        memory = None if settings.memory is None else int(settings.memory * GIB)
        return DaskEngine(parallel, needed, memory, settings.threads)
    if not isinstance(parallel, Processes):
        return None
    total = processors()
    # This process keeps its own part of the memory, but no matrix.
    memory = resources.memory - PROCESS_BYTES
    workers = fitting(parallel.workers or max(1, total // (settings.threads or 1)), memory, needed)
    workers = sharing(workers, resources, arrays)
    if workers == 1:
        return None
    device_memory = None if resources.device_memory is None else resources.device_memory // workers
    return LokyEngine(workers, memory // workers, total if settings.threads is None else None, device_memory)


def sharing(wanted: int, resources: Resources, arrays: int) -> int:
    """How many of the `wanted` workers share a GPU: as many as have room for `arrays` bytes on it, at least one."""
    free = resources.device_memory
    if free is None:
        return wanted
    shares = {workers: replace(resources, device_memory=free // workers) for workers in range(wanted, 1, -1)}
    workers = next((workers for workers, share in shares.items() if share.matrix_bytes >= arrays), 1)
    if workers < wanted:
        _log.warning(
            "parallel.workers: %d of %d: each needs about %.1f GiB of the GPU, and %.1f GiB are free",
            workers, wanted, arrays / GIB, free / GIB,
        )  # fmt: skip
    return workers


def fitting(wanted: int, memory: int, needed: int) -> int:
    """How many of the `wanted` workers run: as many as fit into `memory` if each takes `needed` bytes, at least one."""
    workers = max(1, min(wanted, memory // needed))
    if workers < wanted:
        _log.warning(
            "parallel.workers: %d of %d: each needs about %.1f GiB, and %.1f GiB are available",
            workers, wanted, needed / GIB, max(0, memory) / GIB,
        )  # fmt: skip
    return workers
