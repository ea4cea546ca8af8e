"""Who does the tasks of a job. Results come as they finish; a worker that dies costs its task one retry."""

import logging
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from edlae_sweeps.errors import WorkersError
from edlae_sweeps.imports import override
from edlae_sweeps.workers.bench import Bench, Place, one_at_a_time

_log = logging.getLogger(__name__)
T = TypeVar("T")
V = TypeVar("V")


@dataclass(frozen=True)
class Died:
    """The result of a task whose worker died twice: as one of several, then alone."""

    error: str


class Pool(ABC):
    """Runs tasks. `workers` is how many at once."""

    workers: int

    @abstractmethod
    def run(
        self, function: Callable[[Bench, T], V], tasks: Sequence[T], at_once: int
    ) -> Iterator[tuple[int, V | Died]]:
        """(index of a task, `function(bench, task)`) for each task, in the order in which they finish.

        `at_once` is the largest number of tasks that the caller ever has at the same time: they share the processors.
        An exception of the function ends the iteration.
        """


class Here(Pool):
    """This process: one task after another, each when its result is asked for."""

    workers = 1

    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    @override
    def run(self, function: Callable[[Bench, T], V], tasks: Sequence[T], at_once: int) -> Iterator[tuple[int, V]]:
        """The results in order."""
        for index, task in enumerate(tasks):
            yield index, function(self.bench, task)


class Engine(ABC):
    """Starts workers, and again after some of them died. Used as a context: no task runs after it.

    workers  how many tasks run at once
    died     the exceptions of a task whose worker died
    remedy   what the user can do if a task lets its worker die
    gone     error if the engine itself has gone away
    """

    workers: int
    died: tuple[type[BaseException], ...]
    remedy: str
    gone: str

    @abstractmethod
    def submit(self, function: Callable[..., V], *arguments: Any) -> "Future[V]":
        """Start a call in a worker, a new one if all have died."""

    @abstractmethod
    def place(self, place: Place, at_once: int) -> Place:
        """The place with the resources of one of `at_once` tasks."""

    @abstractmethod
    def stop(self, kill: bool) -> None:
        """End the workers; with `kill`, without waiting for their tasks."""

    @contextmanager
    def running(self) -> Iterator["Engine"]:
        """Stop the workers at the end of the block, at once if an exception ends it."""
        try:
            yield self
        except BaseException:
            self.stop(kill=True)
            raise
        self.stop(kill=False)


class Spread(Pool):
    """The workers of an engine. They load the data of the job from its place."""

    def __init__(self, engine: Engine, place: Place) -> None:
        self.workers = engine.workers
        self._engine, self._place = engine, place

    @override
    def run(
        self, function: Callable[[Bench, T], V], tasks: Sequence[T], at_once: int
    ) -> Iterator[tuple[int, V | Died]]:
        """The results as they finish. The tasks whose worker died follow at the end, one after another."""
        place = self._engine.place(self._place, at_once)
        lost = yield from self._round(function, place, list(enumerate(tasks)))
        if lost:
            _log.warning("a worker died; %d task(s) are tried again, one after another", len(lost))
        # Alone, so that a second death is the fault of the task and of no other.
        for item in lost:
            if (yield from self._round(function, place, [item])):
                yield item[0], Died(f"its worker died twice; {self._engine.remedy}")

    def _round(
        self, function: Callable[[Bench, T], V], place: Place, items: Sequence[tuple[int, T]]
    ) -> Generator[tuple[int, V], None, list[tuple[int, T]]]:
        """Yield the results of (index, task) pairs; return those whose worker died."""
        waiting, lost = deque(items), []
        running: dict[Future[V], tuple[int, T]] = {}
        while waiting or running:
            # No more than there are workers: a task that waits in a queue would be lost with them.
            while waiting and len(running) < self.workers:
                item = waiting.popleft()
                running[self._engine.submit(work, function, place, item[1])] = item
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                item = running.pop(future)
                try:
                    value = future.result()
                except self._engine.died:
                    lost.append(item)
                except CancelledError as error:
                    raise WorkersError(self._engine.gone) from error
                else:
                    yield item[0], value
        return lost


def work(function: Callable[[Bench, T], V], place: Place, task: T) -> V:
    """One task, in a worker."""
    with one_at_a_time:
        bench = place.bench()
        with bench.resources.limit_threads():
            return function(bench, task)
