"""Workers as processes of this machine, by loky as joblib ships it."""

import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from typing import Any, TypeVar, cast

from edlae_sweeps.imports import override
from edlae_sweeps.workers.bench import Place
from edlae_sweeps.workers.pool import Engine

V = TypeVar("V")
# Seconds between two looks at whether the process of the job still lives.
_WATCH_SECONDS = 1


class LokyEngine(Engine):
    """Processes that start with the first task, and end with the job."""

    died = (BrokenProcessPool,)
    remedy = "choose fewer parallel.workers, or free some memory"
    gone = "the processes of parallel=processes were stopped"

    def __init__(self, workers: int, memory: int, processors: int | None, device_memory: int | None = None) -> None:
        """`memory` and `device_memory` are the limits of each worker in bytes, the second on a GPU if there is one.

        The tasks that run at once share `processors`; None leaves each the threads of its place.
        """
        self.workers, self._memory, self._processors = workers, memory, processors
        self._device_memory = device_memory
        self._executor: Any = None

    @override
    def submit(self, function: Callable[..., V], *arguments: Any) -> "Future[V]":
        try:
            return self._submit(function, *arguments)
        except BrokenProcessPool:
            # One process that dies takes the others of its executor with it.
            self.stop(kill=True)
            return self._submit(function, *arguments)

    def _submit(self, function: Callable[..., V], *arguments: Any) -> "Future[V]":
        # Most jobs run alone, and start sooner without it.
        from joblib.externals.loky import ProcessPoolExecutor

        if self._executor is None:
            self._executor = ProcessPoolExecutor(self.workers, initializer=_begin, initargs=(os.getpid(),))
        return cast("Future[V]", self._executor.submit(function, *arguments))

    @override
    def place(self, place: Place, at_once: int) -> Place:
        threads = place.threads
        if self._processors is not None:
            # The place has fewer if OMP_NUM_THREADS says so.
            threads = min(threads, max(1, self._processors // min(self.workers, at_once)))
        return replace(place, threads=threads, memory=self._memory, device_memory=self._device_memory)

    @override
    def stop(self, kill: bool) -> None:
        if self._executor is not None:
            executor, self._executor = self._executor, None
            executor.shutdown(wait=True, kill_workers=kill)


def _begin(job: int) -> None:
    """Prepare a worker of the process `job`: it ends with that, and leaves Ctrl-C to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(job,), daemon=True).start()


def _end_with(job: int) -> None:
    # loky's workers wait for the next task for ever if nobody told them to end.
    while os.getppid() == job:
        time.sleep(_WATCH_SECONDS)
    os._exit(1)
