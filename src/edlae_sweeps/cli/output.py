"""Standard output and standard error, as terminals and pipes are."""

import io
import os
import re
import sys
import textwrap
from contextlib import suppress

# What a stopped command ends with.
CONTINUE = "run the same command to continue"
# File descriptors.
STANDARD_OUTPUT, STANDARD_ERROR = 1, 2
# The beginning of a line, with its first column if it has two.
_BEGIN = re.compile(r"\s*(\S.*?\s{2,}(?=\S))?")
_COMMAND = re.compile(r"(?<=\S )(python -m|pip install|mlflow|dask) \S.*")
# A second column is at least this wide.
_LEAST_COLUMN = 20


def replace_unprintable() -> None:
    """Print ? for a character that the terminal's encoding lacks, such as λ, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def fitted(text: str, stream: int) -> str:
    """`text` with its lines broken between words, to the width of the terminal that a file descriptor leads to.

    A command in a line, which is to be copied, stays in one piece, and so does all of the text elsewhere.
    """
    try:
        width = os.get_terminal_size(stream).columns
    except OSError:
        return text
    return "\n".join(line if len(line) <= width else _broken(line, width) for line in text.split("\n"))


def _broken(line: str, width: int) -> str:
    begin = _BEGIN.match(line)
    indent = begin.end() if begin and 0 < begin.end() <= width - _LEAST_COLUMN else 4
    command = _COMMAND.search(line)
    words = textwrap.fill(
        line[: command.start()] if command else line,
        max(1, width),
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return f"{words}\n{' ' * indent}{command[0]}" if command else words


def print_text(text: str) -> None:
    """Print to standard output; a reader that has closed the pipe, such as head, is no error."""
    with suppress(BrokenPipeError):
        print(text)
    flush_output()


def print_error(text: str) -> None:
    """Print one line to standard error, with control characters as Python writes them.

    On a terminal it may be broken between words.
    """
    # Few commands fail, and it imports rich.
    from edlae_sweeps.console import printable

    print(fitted(printable(text), STANDARD_ERROR), file=sys.stderr, flush=True)


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
