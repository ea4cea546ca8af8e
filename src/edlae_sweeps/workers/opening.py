"""The pool that a job's settings ask for, with no more workers than the memory holds."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edlae_sweeps.resources import GIB, PROCESS_BYTES, Resources, processors
from edlae_sweeps.settings import Dask, Processes, Settings
from edlae_sweeps.workers.bench import Bench, Place
from edlae_sweeps.workers.cluster import DaskEngine
from edlae_sweeps.workers.pool import Engine, Here, Pool, Spread
from edlae_sweeps.workers.processes import LokyEngine

_log = logging.getLogger(__name__)


@contextmanager
def open_pool(settings: Settings, bench: Bench, needed: int) -> Iterator[Pool]:
    """The workers of a job, which end with the block; `needed` is the memory of a task in bytes.

    Raises WorkersError or MissingExtra if there are none.
    """
    engine = _engine(settings, bench.resources, needed)
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
        # A worker with `auto` decides for itself.
        device="cpu" if bench.resources.device == "cpu" else settings.device,
        by_products=settings.by_products,
    )
    with engine.running():
        yield Spread(engine, place)


def _engine(settings: Settings, resources: Resources, needed: int) -> Engine | None:
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
    if workers == 1:
        return None
    return LokyEngine(workers, memory // workers, total if settings.threads is None else None)


def fitting(wanted: int, memory: int, needed: int) -> int:
    """How many of the `wanted` workers run: as many as fit into `memory` if each takes `needed` bytes, at least one."""
    workers = max(1, min(wanted, memory // needed))
    if workers < wanted:
        _log.warning(
            "parallel.workers: %d of %d: each needs about %.1f GiB, and %.1f GiB are available",
            workers, wanted, needed / GIB, max(0, memory) / GIB,
        )  # fmt: skip
    return workers
