"""The time of a training without what happens between its epochs."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """Seconds since it was made, without its pauses."""

    def __init__(self) -> None:
        self._start = time.perf_counter()

    def elapsed(self) -> float:
        """Seconds so far."""
        return time.perf_counter() - self._start

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the time of a block out."""
        pause = time.perf_counter()
        yield
        self._start += time.perf_counter() - pause
