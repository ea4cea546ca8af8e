"""Workers of a Dask cluster."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from logging import getLogger
from typing import Any, TypeVar, cast

from edlae_sweeps.errors import MissingExtra, WorkersError
from edlae_sweeps.imports import override
from edlae_sweeps.resources import GIB
from edlae_sweeps.settings import Dask
from edlae_sweeps.workers.bench import Place
from edlae_sweeps.workers.pool import Engine

V = TypeVar("V")
_CONNECT_SECONDS = 10
_log = getLogger(__name__)


class DaskEngine(Engine):
    """The workers that a scheduler has. Several jobs may share them."""

    remedy = "start Dask workers with more memory"

    def __init__(self, options: Dask, needed: int, memory: int | None, threads: int | None) -> None:
        """Connect to the scheduler, and wait for a first worker.

        `needed` is what a task takes, `memory` the limit that the user set, both in bytes; `threads` are those of each
        worker, or None for as many as it has. Raises MissingExtra without Dask, and WorkersError if the scheduler does
        not answer or if its workers can't do the work.
        """
        try:
            import distributed
        except ImportError as error:
            raise MissingExtra("parallel=dask needs Dask, an extra: pip install 'edlae_sweeps[cluster]'") from error
        self.died = (distributed.scheduler.KilledWorker,)
        self.gone = f"parallel.scheduler={options.scheduler}: the scheduler went away; start the job again to continue"
        self._client = _connect(distributed, options.scheduler)
        try:
            about = self._about(options.scheduler)
            self.workers = min(len(about), options.workers or len(about))
            limits = [limit for _, limit in about if limit]
            if limits and min(limits) < needed:
                raise WorkersError(
                    f"parallel=dask: a task needs about {needed / GIB:.1f} GiB, and a worker has "
                    f"{min(limits) / GIB:.1f} GiB: start workers with a higher --memory-limit"
                )
            self._memory = min([*limits, *([memory] if memory else [])], default=None)
            self._threads = threads or min(count for count, _ in about)
            # A number of our own tries, and never the result of an equal task of another job.
            self._executor = self._client.get_executor(pure=False, retries=0)
        except BaseException:
            self._client.close()
            raise

    def _about(self, address: str) -> list[tuple[int, int | None]]:
        """(threads, memory limit in bytes) of each worker."""
        if not self._client.nthreads():
            _log.warning(
                "parallel.scheduler=%s: waiting for a first worker; start one with dask worker %s%s",
                address, address, self._dashboard(),
            )  # fmt: skip
            self._client.wait_for_workers(1)
        try:
            return list(self._client.run(_about_worker).values())
        except Exception as error:
            # Dask has only the text of an error that a worker met before it ran the call.
            if "No module named" not in str(error):
                raise
            raise WorkersError(
                f"parallel.scheduler={address}: a worker can't import this package; install edlae_sweeps where it runs"
            ) from error

    def _dashboard(self) -> str:
        """Where the scheduler shows its workers, for the end of a line; empty if it shows them nowhere."""
        services = self._client.scheduler_info().get("services", {})
        return f" (dashboard: {self._client.dashboard_link})" if "dashboard" in services else ""

    @override
    def submit(self, function: Callable[..., V], *arguments: Any) -> "Future[V]":
        return cast("Future[V]", self._executor.submit(function, *arguments))

    @override
    def place(self, place: Place, at_once: int) -> Place:
        return replace(place, threads=self._threads, memory=self._memory)

    @override
    def stop(self, kill: bool) -> None:
        # This cancels what has not begun; a call that runs can't be stopped, and its result is dropped.
        self._executor.shutdown(wait=not kill)
        self._client.close()


def _connect(distributed: Any, address: str) -> Any:
    try:
        return distributed.Client(address, timeout=_CONNECT_SECONDS, set_as_default=False, name="edlae_sweeps")
    except (OSError, ValueError) as error:
        raise WorkersError(
            f"parallel.scheduler={address}: no Dask scheduler answers there ({error or 'timeout'}); start it with "
            "dask scheduler, or correct the address"
        ) from error


def _about_worker(dask_worker: Any) -> tuple[int, int | None]:
    return dask_worker.state.nthreads, dask_worker.memory_manager.memory_limit
