"""What a person sees while a job runs and when it is done; the only importer of rich."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

_log = logging.getLogger(__name__)
# Progress goes to standard error, so that what is printed at the end can be piped.
_progress_console = Console(stderr=True)
# Narrower terminals wrap the lines of a table rather than lose its columns.
_TABLE_WIDTH = 100


@contextmanager
def stage(label: str) -> Iterator[Callable[[int, int], None]]:
    """Show that `label` is under way: a spinner with the time, and a bar once the yielded `advance(done, total)` is
    called.

    The seconds it took go to the log.
    """
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    start = time.perf_counter()
    progress = Progress(*columns, console=_progress_console, transient=True, disable=not _progress_console.is_terminal)
    task = progress.add_task(label, total=None)

    def advance(done: int, total: int) -> None:
        progress.update(task, completed=done, total=total)

    with suppress(OSError):
        progress.start()
    try:
        yield advance
    finally:
        # A terminal that has been closed must not turn a job that is told to stop into one that failed.
        with suppress(OSError):
            progress.stop()
    _log.info("%-34s %6.1f s", label, time.perf_counter() - start)


def print_table(title: str, header: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Print a table to standard output; all but the first column are aligned to the right."""
    console = Console()
    console = Console(width=max(console.width, _TABLE_WIDTH))
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for column, name in enumerate(header):
        table.add_column(name, justify="left" if column == 0 else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console.print(table)


def print_line(text: str) -> None:
    """Print one line to standard output as it is, however long."""
    Console(soft_wrap=True, markup=False, highlight=False, emoji=False).print(text)


def print_error(text: str) -> None:
    """Print one line to standard error as it is, however long."""
    Console(stderr=True, soft_wrap=True, markup=False, highlight=False, emoji=False).print(text)
