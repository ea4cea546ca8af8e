"""Progress, tables and lines in the terminal; the only importer of rich."""

import logging
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress

from rich import box
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

_log = logging.getLogger(__name__)
# Progress goes to standard error, so that the output at the end can be piped.
_progress_console = Console(stderr=True)
# Narrower terminals wrap the lines of a table rather than lose its columns.
_TABLE_WIDTH = 100


class Stage:
    """A long step in progress: `stage(done, total)` shows how far it is."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def __call__(self, done: int, total: int) -> None:
        self._progress.update(self._task, completed=done, total=total)

    def tell(self, text: str) -> None:
        """Log a line, above the bar if there is one."""
        with suppress(OSError):
            self._progress.stop()
        _log.info("%s", text)
        with suppress(OSError):
            self._progress.start()


def hide_progress() -> None:
    """Show no progress from now on: another process owns the terminal. Lines are still logged."""
    _progress_console.quiet = True


@contextmanager
def stage(label: str) -> Iterator[Stage]:
    """Show `label` with a spinner and the time, and with a bar once the yielded stage is called.

    The seconds that the block took are logged.
    """
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    start = time.perf_counter()
    progress = Progress(*columns, console=_progress_console, transient=True, disable=not _shows_progress())
    task = progress.add_task(label, total=None)
    with suppress(OSError):
        progress.start()
    try:
        yield Stage(progress, task)
    finally:
        # A closed terminal must not turn a stopped job into a failed one.
        with suppress(OSError):
            progress.stop()
    _log.info("%-34s %6.1f s", label, time.perf_counter() - start)


def _shows_progress() -> bool:
    return _progress_console.is_terminal and not _progress_console.quiet


def print_table(title: str, header: Iterable[str], rows: Iterable[Iterable[str]], texts: Collection[str] = ()) -> None:
    """Print a table to standard output. Cells are shown as they are, without markup, control characters escaped.

    The first column and those in `texts` are aligned to the left, the others to the right. A text that is too long for
    its column continues on the next line.
    """
    console = Console()
    console = Console(width=max(console.width, _TABLE_WIDTH))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for column, name in enumerate(header):
        left = column == 0 or name in texts
        table.add_column(name, justify="left" if left else "right", no_wrap=name not in texts, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    print_line(title)
    console.print(table)


def printable(text: str) -> str:
    """`text` with its control characters, which a terminal would obey, as Python writes them."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def print_line(text: str) -> None:
    """Print one line to standard output unchanged, however long."""
    Console(soft_wrap=True, markup=False, highlight=False, emoji=False).print(text)
