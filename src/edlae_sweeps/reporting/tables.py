"""Tables as CSV, Markdown and LaTeX. Equal rows give equal bytes."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

_LATEX = str.maketrans(
    {"%": r"\%", "_": r"\_", "&": r"\&", "#": r"\#", "<": "$<$", "−": "-",
     "±": r"$\pm$", "λ": r"$\lambda$", "†": r"$\dagger$"}
)  # fmt: skip
# A smaller p is printed as below this.
_LEAST_P = 1e-300


@dataclass(frozen=True)
class Table:
    """A title, a header, rows of text, and a note that the page shows below the table."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""

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


def p_value(p: float | None) -> str:
    """A p in writing; empty for None."""
    if p is None:
        return ""
    return f"{p:.2g}" if p >= _LEAST_P else f"<{_LEAST_P:g}"


def _row(cells: Sequence[str]) -> str:
    return " & ".join(cell.translate(_LATEX) for cell in cells) + r" \\"
