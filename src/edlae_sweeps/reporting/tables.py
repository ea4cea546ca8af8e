"""Tables as CSV, Markdown and LaTeX. Equal rows give equal bytes."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edlae_sweeps.reporting.texts import csv_text, latex_text, markdown_text


@dataclass(frozen=True)
class Table:
    """A table of texts.

    title    its heading
    header   one text for each column
    rows     the texts
    above    a row that others are compared with, shown above them; CSV leaves it out, since the numbers of a column
             stay whole numbers only where none is missing
    caption  what a row is
    note     what the page shows below the table
    warning  what a reader must know before; the page and Markdown show it above the table
    keys     the number of columns, from the left, that name a row
    links    (row, column) → the id of the run that the text is about; rows are counted as in `shown`
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    above: tuple[str, ...] = ()
    caption: str = ""
    note: str = ""
    warning: str = ""
    keys: int = 1
    links: Mapping[tuple[int, int], str] = field(default_factory=dict)

    @property
    def shown(self) -> tuple[tuple[str, ...], ...]:
        """The rows, with that above the others."""
        return ((self.above,) if self.above else ()) + self.rows

    def csv(self) -> str:
        """CSV with a header line."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerows(map(csv_text, line) for line in (self.header, *self.rows))
        return buffer.getvalue()

    def markdown(self) -> str:
        """A GitHub Markdown table; all columns but the first are aligned right. A warning is above it."""
        rule = ["---", *["---:"] * (len(self.header) - 1)]
        lines = [" | ".join(map(markdown_text, line)) for line in (self.header, *self.shown)]
        lines.insert(1, " | ".join(rule))
        warning = f"{markdown_text(self.warning)}\n\n" if self.warning else ""
        return warning + "".join(f"| {line} |\n" for line in lines)

    def latex(self) -> str:
        """A tabular in the style of the booktabs package."""
        columns = "l" + "r" * (len(self.header) - 1)
        body = "".join(f"{_latex_row(row)}\n" for row in self.shown)
        head = _latex_row(self.header)
        return f"\\begin{{tabular}}{{{columns}}}\n\\toprule\n{head}\n\\midrule\n{body}\\bottomrule\n\\end{{tabular}}\n"


def _latex_row(cells: Sequence[str]) -> str:
    line = " & ".join(map(latex_text, cells))
    # The rule or the row before it would take these for its own.
    start = "{}" if line.lstrip().startswith(("[", "*")) else ""
    return rf"{start}{line} \\"
