"""The report as one self-contained HTML page: pictures embedded, no requests."""

import base64
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, select_autoescape

from edlae_sweeps.reporting.collect import Collected, StoredCell
from edlae_sweeps.reporting.figures import Figure
from edlae_sweeps.reporting.reader import Reader
from edlae_sweeps.reporting.tables import Table, counted

_PACKAGES = ("edlae_sweeps", "python", "numpy", "scipy", "mlflow")
_TAGS = (*(f"version.{name}" for name in _PACKAGES), "cpu", "blas", "blas_threads")
_ENVIRONMENT = "edlae_sweeps {}, Python {}, NumPy {}, SciPy {}, MLflow {}; {}, {}, {}"


@dataclass(frozen=True)
class Contents:
    """What a page shows: its figures and tables, the machine of the timings, and what the report leaves out."""

    figures: Sequence[Figure]
    tables: Sequence[Table]
    machine: str
    left_out: Sequence[str]


def page(name: str, collected: Collected, contents: Contents, reader: Reader) -> str:
    """The HTML text of the report on the data set `name`."""
    environment = Environment(
        loader=PackageLoader("edlae_sweeps.reporting", "."),
        autoescape=select_autoescape(["html"]),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    figures = [(figure, base64.b64encode(figure.files[0].read_bytes()).decode()) for figure in contents.figures]
    return environment.get_template("page.html").render(
        name=name,
        figures=figures,
        tables=contents.tables,
        machine=contents.machine,
        left_out=contents.left_out,
        by_products=any(cell.run.tags.get("gram") == "products" for cell in collected.best),
        commands=[(cell, _command(cell, reader)) for cell in collected.best],
        digest=collected.best[0].run.tags.get("data_digest", "?"),
        environments=sorted({_environment(cell) for cell in collected.best}),
    )


def _environment(cell: StoredCell) -> str:
    *values, threads = (cell.run.tags.get(tag, "?") for tag in _TAGS)
    return _ENVIRONMENT.format(*values, counted(threads, "thread"))


def _command(cell: StoredCell, reader: Reader) -> str:
    """The command that ran the cell, perhaps along with other ranks."""
    text = reader.text(cell, "overrides.yaml")
    if text is None:
        return "the configuration is gone from the store"
    overrides = [line.removeprefix("- ") for line in text.splitlines() if line.startswith("- ")]
    return shlex.join(["python", "-m", "edlae_sweeps", *overrides])
