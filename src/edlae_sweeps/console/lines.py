"""Lines on standard output."""

from rich.console import Console


def print_line(text: str) -> None:
    """Print one line to standard output unchanged, however long: what is to be copied stays in one piece."""
    Console(soft_wrap=True, markup=False, highlight=False, emoji=False).print(text)


def printable(text: str) -> str:
    """`text` with its control characters, which a terminal would obey, as Python writes them."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
