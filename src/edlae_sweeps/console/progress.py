"""Long steps: a bar on a terminal, a line of the log once a step is over."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from edlae_sweeps.imports import override

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
        """Log a line."""
        _log.info("%s", text)


class _AboveBar:
    """Standard error while a bar is shown: the bar is taken away for a line, and comes back below it."""

    def __init__(self, progress: Progress, stream: TextIO) -> None:
        self._progress, self.stream = progress, stream

    def write(self, text: str) -> None:
        self._progress.stop()
        self.stream.write(text)
        self._progress.start()

    def flush(self) -> None:
        self.stream.flush()


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
    with _logging_above(progress):
        with suppress(OSError):
            progress.start()
        try:
            yield shown
        finally:
            # A closed terminal must not turn a stopped job into a failed one.
            with suppress(OSError):
                progress.stop()
    _log.info("%-34s %6.1f s", label, time.perf_counter() - start)


@contextmanager
def _logging_above(progress: Progress) -> Iterator[None]:
    """Write what is logged to standard error above the bar, if there is one."""
    root = logging.getLogger().handlers if not progress.disable else []
    handlers = [each for each in root if isinstance(each, logging.StreamHandler) and each.stream is sys.stderr]
    for handler in handlers:
        handler.stream = _AboveBar(progress, handler.stream)
    try:
        yield
    finally:
        for handler in handlers:
            handler.stream = handler.stream.stream


def _clock(seconds: float) -> str:
    """`0:05`, `12:34`, `1:02:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _shows_progress() -> bool:
    return _console.is_terminal and not _console.is_dumb_terminal and not _console.quiet
