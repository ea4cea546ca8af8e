"""The report as one self-contained HTML page: pictures embedded, no requests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, select_autoescape

from edlae_sweeps.reporting.collect import Collected, StoredCell
from edlae_sweeps.reporting.commands import command_of
from edlae_sweeps.reporting.figures import Figure
from edlae_sweeps.reporting.pictures import Drawing, drawing
from edlae_sweeps.reporting.reader import Reader
from edlae_sweeps.reporting.splits import Splits
from edlae_sweeps.reporting.tables import Table
from edlae_sweeps.reporting.texts import counted
from edlae_sweeps.settings import command

_PACKAGES = ("edlae_sweeps", "python", "numpy", "scipy", "mlflow")
_TAGS = (*(f"version.{name}" for name in _PACKAGES), "cpu", "blas", "blas_threads")
_ENVIRONMENT = "edlae_sweeps {}, Python {}, NumPy {}, SciPy {}, MLflow {}; {}, {}, {}"


@dataclass(frozen=True)
class Contents:
    """What a page shows: its figures and tables, the splits, the machine of the timings, and what it leaves out."""

    figures: Sequence[Figure]
    tables: Sequence[Table]
    splits: Splits
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
    drawings: list[tuple[Figure, Drawing]] = [(figure, drawing(figure.picture)) for figure in contents.figures]
    return environment.get_template("page.html").render(
        name=name,
        figures=drawings,
        tables=[(table, _pages(table, reader)) for table in contents.tables if table.rows],
        splits=contents.splits,
        machine=contents.machine,
        left_out=contents.left_out,
        by_products=any(cell.run.tags.get("gram") == "products" for cell in collected.best),
        own_command=command({"datasets": [name]}, "report"),
        cells=[(cell, command_of(cell, reader), reader.experiment.run_page(cell.run.id)) for cell in collected.best],
        digest=collected.best[0].run.tags.get("data_digest", "?"),
        environments=sorted({_environment(cell) for cell in collected.best}),
    )


def _pages(table: Table, reader: Reader) -> Mapping[tuple[int, int], str]:
    """(row, column) → the URL of the run of a text, where a server is known."""
    pages = {place: reader.experiment.run_page(run_id) for place, run_id in table.links.items()}
    return {place: url for place, url in pages.items() if url is not None}


def _environment(cell: StoredCell) -> str:
    *values, threads = (cell.run.tags.get(tag, "?") for tag in _TAGS)
    return _ENVIRONMENT.format(*values, counted(threads, "thread"))
