"""Standard output and standard error, as terminals and pipes are."""

import io
import os
import sys
from contextlib import suppress

# What a stopped command ends with.
CONTINUE = "run the same command to continue"


def replace_unprintable() -> None:
    """Print ? for a character that the terminal's encoding lacks, such as λ, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def print_text(text: str) -> None:
    """Print to standard output; a reader that has closed the pipe, such as head, is no error."""
    with suppress(BrokenPipeError):
        print(text)
    flush_output()


def print_error(text: str) -> None:
    """Print one line to standard error, however long, with control characters as Python writes them."""
    # Few commands fail, and it imports rich.
    from edlae_sweeps.console import printable

    print(printable(text), file=sys.stderr, flush=True)


def flush_output() -> bool:
    """Flush standard output; False if its reader has closed the pipe.

    Then the rest of the output goes nowhere: Python would complain about it at exit.
    """
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True
