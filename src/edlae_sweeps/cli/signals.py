"""Signals that stop a command: SIGTERM and SIGHUP end it as Ctrl-C does, wherever they arrive."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType
from typing import Any, NoReturn

# A command that a signal stopped ends with this status plus the number of the signal.
SIGNAL_STATUS = 128
_SIGNALS = (signal.SIGTERM, signal.SIGHUP)
# Called before a stop is raised, Ctrl-C included.
_before: list[Callable[[], None]] = []


class Stopped(KeyboardInterrupt):
    """A signal other than Ctrl-C stopped the process."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum

    def __str__(self) -> str:
        return signal.Signals(self.signum).name


@contextmanager
def stop_signals() -> Iterator[None]:
    """Raise Stopped within the block for SIGTERM and SIGHUP; restore the handlers afterwards."""
    hook = sys.unraisablehook
    sys.unraisablehook = partial(_raise_again, hook)
    # Who ignores a signal does so on purpose, such as nohup. Launchers have handlers of their own, which do less.
    replaced = {
        signum: handler for signum in _SIGNALS if (handler := signal.getsignal(signum)) not in (signal.SIG_IGN, None)
    }
    for signum in replaced:
        signal.signal(signum, _stop)
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for signum, handler in replaced.items():
            # After a stop they stay ignored until the process has ended.
            if signal.getsignal(signum) is _stop:
                signal.signal(signum, handler)
        if _before:
            _before.clear()
            signal.signal(signal.SIGINT, signal.default_int_handler)


def before_stop(function: Callable[[], None]) -> None:
    """Within stop_signals, call `function` before a signal or Ctrl-C is raised; a second Ctrl-C interrupts it."""
    _before.append(function)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _stop)


def _stop(signum: int, _frame: FrameType | None) -> NoReturn:
    # A closing terminal sends SIGHUP more than once; the second must not interrupt the clean-up after the first.
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    if signal.getsignal(signal.SIGINT) is _stop:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for function in _before:
        function()
    raise KeyboardInterrupt if signum == signal.SIGINT else Stopped(signum)


@contextmanager
def stop_then(signum: int) -> Iterator[None]:
    """Where a launcher handles this signal, stop the block cleanly first and call the launcher's handler then.

    submitit puts a job back into the queue in this way, shortly before its time limit and when it is preempted.
    """
    handler = signal.getsignal(signum)
    if not callable(handler):
        yield
        return
    signal.signal(signum, _stop)
    try:
        yield
    except Stopped as stop:
        if stop.signum == signum:
            # It ends the process, or raises if the job may not go back into the queue.
            with suppress(Exception):
                handler(signum, None)
        raise
    finally:
        signal.signal(signum, handler)


def _raise_again(hook: Callable[["sys.UnraisableHookArgs"], Any], unraisable: "sys.UnraisableHookArgs") -> None:
    """Python drops an exception raised in a finaliser. Raise a stop that arrived there again, outside it."""
    stop = unraisable.exc_value
    if not isinstance(stop, KeyboardInterrupt):
        hook(unraisable)
        return

    def again(_signum: int, _frame: FrameType | None) -> NoReturn:
        raise stop

    signal.signal(signal.SIGALRM, again)
    signal.setitimer(signal.ITIMER_REAL, 0.01)
