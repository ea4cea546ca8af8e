"""Stops that wait: signals to stop, held back while something is done that must not be half done."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# Slurm, through submitit, announces a time limit by SIGUSR1 and SIGUSR2. By SIGALRM a stop that Python dropped is
# raised again (edlae_sweeps.cli.signals).
_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM)


@contextmanager
def stops_deferred() -> Iterator[None]:
    """Delay signals to stop until the block ends; Ctrl-C pressed repeatedly interrupts it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pending: list[int] = []
    previous = {int(number): signal.getsignal(number) for number in _STOPS}

    def remember(number: int, frame: FrameType | None) -> None:
        handler = previous[number]
        if number == signal.SIGINT and number in pending and callable(handler):
            pending.clear()
            handler(number, frame)
        pending.append(number)

    try:
        for number, handler in previous.items():
            if handler not in (signal.SIG_IGN, None):
                signal.signal(number, remember)
        yield
    finally:
        for number, handler in previous.items():
            # A stop that came before all were replaced has set some to be ignored.
            if signal.getsignal(number) is remember:
                signal.signal(number, handler)
        for number in pending:
            signal.raise_signal(number)
