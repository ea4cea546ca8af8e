"""Long steps: a bar on a terminal, a line of the log once a step is over."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TaskID, TextColumn
from rich.table import Column
from rich.text import Text
from typing_extensions import override

_log = logging.getLogger(__name__)
# Progress goes to standard error, so that the output at the end can be piped.
_console = Console(stderr=True)


class Stage:
    """A long step in progress: `stage(done, total)` shows how far it is."""

    def __init__(self, progress: Progress, label: str) -> None:
        self._progress, self._label = progress, label
        self._task: TaskID = progress.add_task(label, total=None, stage=self)
        self._began: tuple[float, int] | None = None
        # When the time left was estimated, and the estimate in seconds.
        self._estimate: tuple[float, float] | None = None

    def __call__(self, done: int, total: int, note: str = "", left: float | None = None) -> None:
        """Show how much is done, and beside the label a note.

        `left` is the time left in seconds. By default it is estimated, from the time that the parts took so far.
        """
        now = time.monotonic()
        if self._began is None:
            self._began = now, done
        since, before = self._began
        if left is None and done > before:
            left = (now - since) / (done - before) * (total - done)
        if left is not None:
            self._estimate = now, left
        description = f"{self._label}: {note}" if note else self._label
        self._progress.update(self._task, completed=done, total=total, description=description)

    def left(self) -> float | None:
        """The seconds left; None if that is not known yet."""
        if self._estimate is None:
            return None
        at, seconds = self._estimate
        return max(0.0, seconds - (time.monotonic() - at))

    def tell(self, text: str) -> None:
        """Log a line, above the bar if there is one."""
        with suppress(OSError):
            self._progress.stop()
        _log.info("%s", text)
        with suppress(OSError):
            self._progress.start()


class _Times(ProgressColumn):
    """The time that a step took so far, and the time left as soon as it can be estimated: `0:41, 2:03 left`."""

    @override
    def render(self, task: Task) -> Text:
        left = task.fields["stage"].left()
        return Text(_clock(task.elapsed or 0) + ("" if left is None else f", {_clock(left)} left"))


def hide_progress() -> None:
    """Show no progress from now on: another process owns the terminal. Lines are still logged."""
    _console.quiet = True


@contextmanager
def stage(label: str) -> Iterator[Stage]:
    """Show `label` with a spinner and the time, and with a bar once the yielded stage is called.

    The seconds that the block took are logged.
    """
    start = time.perf_counter()
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        _Times(Column(no_wrap=True)),
    )
    progress = Progress(*columns, console=_console, transient=True, disable=not _shows_progress())
    shown = Stage(progress, label)
    with suppress(OSError):
        progress.start()
    try:
        yield shown
    finally:
        # A closed terminal must not turn a stopped job into a failed one.
        with suppress(OSError):
            progress.stop()
    _log.info("%-34s %6.1f s", label, time.perf_counter() - start)


def _clock(seconds: float) -> str:
    """`0:05`, `12:34`, `1:02:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _shows_progress() -> bool:
    return _console.is_terminal and not _console.is_dumb_terminal and not _console.quiet
