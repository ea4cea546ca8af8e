"""Tables as csv, markdown and LaTeX: the same rows give the same bytes."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

_LATEX = str.maketrans({"%": r"\%", "_": r"\_", "&": r"\&", "#": r"\#", "±": r"$\pm$", "λ": r"$\lambda$", "−": "-"})


@dataclass(frozen=True)
class Table:
    """A header and rows of texts."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def csv(self) -> str:
        """Comma-separated, a header first."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(self.header)
        writer.writerows(self.rows)
        return buffer.getvalue()

    def markdown(self) -> str:
        """A table of GitHub's markdown, numbers to the right."""
        rule = ["---", *["---:"] * (len(self.header) - 1)]
        lines = [self.header, rule, *self.rows]
        return "".join(f"| {' | '.join(line)} |\n" for line in lines)

    def latex(self) -> str:
        """A tabular of the booktabs package."""
        columns = "l" + "r" * (len(self.header) - 1)
        body = "".join(f"{_row(row)}\n" for row in self.rows)
        head = _row(self.header)
        return f"\\begin{{tabular}}{{{columns}}}\n\\toprule\n{head}\n\\midrule\n{body}\\bottomrule\n\\end{{tabular}}\n"


def _row(cells: Sequence[str]) -> str:
    return " & ".join(cell.translate(_LATEX) for cell in cells) + r" \\"
