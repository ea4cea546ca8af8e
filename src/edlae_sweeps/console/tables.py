"""Tables on standard output, as wide as the terminal at most."""

import os
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from edlae_sweeps.console.lines import Output, print_line, printable

# Of a file or a pipe that nobody watches.
_NO_TERMINAL = 100
_LEAST_WIDTH = 20
# A text column is at least as wide as its longest word, but for words longer than this.
_LONGEST_WORD = 20
# A header breaks at spaces and before @, but a single letter, such as a unit, stays with the word before it.
_WORD = re.compile(r"( ?)(@?[^ @]+(?: [^ @](?= |$))?)")


@dataclass(frozen=True)
class _Column:
    """A column: its name, its cells, and whether they are aligned to the left and may continue on the next line."""

    name: str
    cells: Sequence[str]
    left: bool
    wraps: bool

    def header(self, layout: "_Layout") -> list[str]:
        """The lines of the name: one, or, where headers are broken, no wider than the cells and its longest word."""
        if not layout.broken:
            return [self.name]
        words = _WORD.findall(self.name)
        room = max(self._cells_width(layout), *(cell_len(word) for _, word in words), 0)
        lines: list[str] = []
        for space, word in words:
            if lines and cell_len(lines[-1] + space + word) <= room:
                lines[-1] += space + word
            else:
                lines.append(word)
        return lines

    def width(self, layout: "_Layout") -> int:
        """The characters that it takes at least."""
        return max(self._cells_width(layout), *map(cell_len, self.header(layout)), 0)

    def _cells_width(self, layout: "_Layout") -> int:
        if self.wraps and layout.narrow:
            return max((cell_len(word[:_LONGEST_WORD]) for cell in self.cells for word in cell.split()), default=0)
        return max(map(cell_len, self.cells), default=0)


@dataclass(frozen=True)
class _Layout:
    """How a table saves width.

    broken  headers take several lines
    narrow  so do texts
    gap     spaces between columns
    """

    broken: bool
    narrow: bool
    gap: int

    def total(self, columns: Iterable[_Column]) -> int:
        """The width of a table with these columns."""
        widths = [column.width(self) for column in columns]
        # The box has an edge of one space on both sides.
        return sum(widths) + self.gap * (len(widths) - 1) + 2


# The widest first.
_LAYOUTS = (
    _Layout(broken=False, narrow=False, gap=2),
    _Layout(broken=True, narrow=False, gap=2),
    _Layout(broken=True, narrow=False, gap=1),
    _Layout(broken=True, narrow=True, gap=2),
    _Layout(broken=True, narrow=True, gap=1),
)


def print_table(
    title: str, header: Iterable[str], rows: Iterable[Iterable[str]], texts: Collection[str] = (), keys: int = 1
) -> None:
    """Print a table to standard output. Cells are shown as they are, without markup, control characters escaped.

    The first column and those in `texts` are aligned to the left, the others to the right. A table that is too wide for
    the terminal breaks its headers between words, then its texts; columns that still have no place follow below, with
    the first `keys` columns again.
    """
    cells = zip(*([printable(cell) for cell in row] for row in rows), strict=True)
    names = list(header)
    columns = [
        _Column(name, column, index == 0 or name in texts, name in texts)
        for index, (name, column) in enumerate(zip(names, list(cells) or [()] * len(names), strict=True))
    ]
    width = _terminal_width()
    layout = next((layout for layout in _LAYOUTS if layout.total(columns) <= width), _LAYOUTS[-1])
    print_line(title)
    for part in _parts(columns, keys, layout, width):
        _print_part(part, layout, width)


def _parts(columns: Sequence[_Column], keys: int, layout: _Layout, width: int) -> list[list[_Column]]:
    """The columns of each table: as many as fit, at least one beside the first `keys`, which all have."""
    parts = [list(columns[:keys])]
    for column in columns[keys:]:
        if len(parts[-1]) > keys and layout.total([*parts[-1], column]) > width:
            parts.append(list(columns[:keys]))
        parts[-1].append(column)
    if len(parts) == 1:
        return parts
    return [_with_values(part, keys) for part in parts]


def _with_values(columns: Sequence[_Column], keys: int) -> list[_Column]:
    """The columns without the rows that are empty but for the first `keys`."""
    kept = [index for index in range(len(columns[0].cells)) if any(column.cells[index] for column in columns[keys:])]
    return [
        _Column(column.name, [column.cells[index] for index in kept], column.left, column.wraps) for column in columns
    ]


def _print_part(columns: Sequence[_Column], layout: _Layout, width: int) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True, padding=(0, layout.gap - 1))
    total = layout.total(columns)
    # What is left of the terminal's width goes to the texts that need it.
    free = max(0, width - total)
    height = max(len(column.header(layout)) for column in columns)
    for column in columns:
        least = column.width(layout)
        most = least if not column.wraps else max(map(cell_len, column.cells), default=least)
        added = min(free, max(0, most - least))
        free -= added
        lines = column.header(layout)
        header = Text("\n".join([""] * (height - len(lines)) + lines))
        table.add_column(header, justify="left" if column.left else "right", width=least + added, overflow="fold")
    for row in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*map(Text, row))
    # A dumb terminal has its own idea of the width unless it is given the height too.
    Output(width=max(width, total), height=len(columns) + 1).print(table)


def _terminal_width() -> int:
    """The width of the terminal in characters, or what the variable COLUMNS says."""
    if not (os.environ.get("COLUMNS") or any(map(os.isatty, range(3)))):
        return _NO_TERMINAL
    return max(_LEAST_WIDTH, Output().width)
