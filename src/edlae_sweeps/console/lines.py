"""Lines on standard output."""

import os
import sys

from rich.console import Console

from edlae_sweeps.imports import override


class Output(Console):
    """Standard output; a reader that has closed the pipe, such as head, is no error."""

    @override
    def on_broken_pipe(self) -> None:
        """Let the rest of the output go nowhere; rich would end the process with status 1."""
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_line(text: str) -> None:
    """Print one line to standard output unchanged, however long: what is to be copied stays in one piece."""
    Output(soft_wrap=True, markup=False, highlight=False, emoji=False).print(text)


def printable(text: str) -> str:
    """`text` with its control characters, which a terminal would obey, as Python writes them."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
