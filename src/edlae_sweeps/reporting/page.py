"""The report as one self-contained HTML page: pictures inside, no request to anywhere."""

import base64
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, select_autoescape

from edlae_sweeps.errors import TrackingError
from edlae_sweeps.reporting.collect import Collected, Entry
from edlae_sweeps.reporting.tables import Table
from edlae_sweeps.tracking import Experiment

_PACKAGES = ("edlae_sweeps", "python", "numpy", "scipy", "mlflow")
_VERSIONS = (*(f"version.{name}" for name in _PACKAGES), "cpu", "blas", "blas_threads")
_ENVIRONMENT = "edlae_sweeps {}, Python {}, NumPy {}, SciPy {}, MLflow {}; {}, {}, {} thread(s)"


@dataclass(frozen=True)
class Figure:
    """A picture: its title, what it shows in words, and its files, the png first."""

    title: str
    alt: str
    files: list[Path]


def page(
    name: str,
    collected: Collected,
    figures: Sequence[Figure],
    tables: Sequence[Table],
    commands: Sequence[tuple[Entry, str]],
    machine: str,
    left_out: Sequence[str],
) -> str:
    """The page as text."""
    environment = Environment(
        loader=PackageLoader("edlae_sweeps.reporting", "."),
        autoescape=select_autoescape(["html"]),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    versions = sorted({tuple(entry.run.tags.get(tag, "?") for tag in _VERSIONS) for entry in collected.best})
    return environment.get_template("page.html").render(
        name=name,
        figures=[(figure, base64.b64encode(figure.files[0].read_bytes()).decode()) for figure in figures],
        tables=tables,
        machine=machine,
        left_out=left_out,
        commands=commands,
        digest=collected.best[0].run.tags.get("data_digest", "?"),
        versions=[_ENVIRONMENT.format(*values) for values in versions],
    )


def command(experiment: Experiment, entry: Entry, folder: Path) -> str:
    """The command that the cell is from, of whose ranks it may be one."""
    into = folder / entry.run.id
    into.mkdir(exist_ok=True)
    try:
        lines = experiment.fetch(entry.run.id, "overrides.yaml", into).read_text(encoding="utf-8").splitlines()
    except TrackingError:
        return "its configuration is gone"
    overrides = [line.removeprefix("- ") for line in lines if line.startswith("- ")]
    return shlex.join(["python", "-m", "edlae_sweeps", *overrides])
