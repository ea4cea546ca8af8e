"""Signals that stop a command: SIGTERM and SIGHUP end it as Ctrl-C does, wherever they arrive."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any, NoReturn

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


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
    # A handler other than the default stays: nohup, for one, ignores SIGHUP on purpose.
    replaced = [signum for signum in _SIGNALS if signal.getsignal(signum) is signal.SIG_DFL]
    for signum in replaced:
        signal.signal(signum, _stop)
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for signum in replaced:
            # After a stop they stay ignored until the process has ended.
            if signal.getsignal(signum) is _stop:
                signal.signal(signum, signal.SIG_DFL)


def _stop(signum: int, _frame: FrameType | None) -> NoReturn:
    # A closing terminal sends SIGHUP more than once; the second must not interrupt the clean-up after the first.
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise Stopped(signum)


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
