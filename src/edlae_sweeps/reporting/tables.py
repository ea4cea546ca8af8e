"""Tables as CSV, Markdown and LaTeX. Equal rows give equal bytes."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

_LATEX = str.maketrans({"%": r"\%", "_": r"\_", "&": r"\&", "#": r"\#", "±": r"$\pm$", "λ": r"$\lambda$", "−": "-"})


@dataclass(frozen=True)
class Table:
    """A title, a header and rows of text."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def csv(self) -> str:
        """CSV with a header line."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(self.header)
        writer.writerows(self.rows)
        return buffer.getvalue()

    def markdown(self) -> str:
        """A GitHub Markdown table; all columns but the first are aligned right."""
        rule = ["---", *["---:"] * (len(self.header) - 1)]
        lines = [self.header, rule, *self.rows]
        return "".join(f"| {' | '.join(line)} |\n" for line in lines)

    def latex(self) -> str:
        """A tabular in the style of the booktabs package."""
        columns = "l" + "r" * (len(self.header) - 1)
        body = "".join(f"{_row(row)}\n" for row in self.rows)
        head = _row(self.header)
        return f"\\begin{{tabular}}{{{columns}}}\n\\toprule\n{head}\n\\midrule\n{body}\\bottomrule\n\\end{{tabular}}\n"


def counted(number: int | str, noun: str) -> str:
    """A number and its noun, with a plural s where it needs one."""
    return f"{number} {noun}{'' if str(number) == '1' else 's'}"


def _row(cells: Sequence[str]) -> str:
    return " & ".join(cell.translate(_LATEX) for cell in cells) + r" \\"
