"""Texts of a report: numbers in words, and names that mean nothing to the format they are written in.

Names come from shared stores: a formula, a column separator or a command must stay a text.
"""

import re

_LATEX = str.maketrans(
    {"%": r"\%", "_": r"\_", "&": r"\&", "#": r"\#", "<": "$<$", "−": "-",
     "±": r"$\pm$", "λ": r"$\lambda$", "†": r"$\dagger$",
     "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "~": r"\textasciitilde{}",
     "^": r"\textasciicircum{}", ">": "$>$", "|": "$|$"}
)  # fmt: skip
_MARKDOWN = str.maketrans({character: f"\\{character}" for character in "\\`|<>[]"})
# Spreadsheets take a text that starts with one of these for a formula,
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
# unless it is a number, perhaps with its error, interval or marks, or several.
_NUMBER = re.compile(r"[+-]?([\d.,]+|inf|nan)(e[+-]?\d+)?( (±|to|/) [+-]?[\d.,]+)*[*†]*")
# A smaller p is printed as below this.
_LEAST_P = 1e-300


def counted(number: int | str, noun: str) -> str:
    """A number and its noun, with a plural s where it needs one."""
    return f"{number} {noun}{'' if str(number) == '1' else 's'}"


def p_value(p: float | None) -> str:
    """A p in writing; empty for None."""
    if p is None:
        return ""
    return f"{p:.2g}" if p >= _LEAST_P else f"<{_LEAST_P:g}"


def signed(value: float, digits: int = 4) -> str:
    """A difference with its sign: +0.0012. What rounds to 0 has none."""
    text = f"{value:+.{digits}f}"
    return text if text.strip("+-0.") else text[1:]


def fixed(value: float, digits: int = 4) -> str:
    """A number with so many digits after the point; what rounds to 0 has no sign."""
    return f"{value:z.{digits}f}"


def csv_text(text: str) -> str:
    """`text` as spreadsheets show it, which might take it for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) and not _NUMBER.fullmatch(text) else text


def markdown_text(text: str) -> str:
    """`text` in Markdown, in one line."""
    return " ".join(text.translate(_MARKDOWN).splitlines())


def latex_text(text: str) -> str:
    """`text` in LaTeX, in one line."""
    return " ".join(text.translate(_LATEX).splitlines())
