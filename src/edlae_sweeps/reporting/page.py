"""The report as one self-contained HTML page: pictures inside, no request to anywhere."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, select_autoescape

from edlae_sweeps.reporting.collect import Collected, Entry
from edlae_sweeps.reporting.tables import Table


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
    newest = max(collected.best, key=lambda entry: entry.run.metrics.get("memory/peak_gib", 0))
    return environment.get_template("page.html").render(
        name=name,
        figures=[(figure, base64.b64encode(figure.files[0].read_bytes()).decode()) for figure in figures],
        tables=tables,
        machine=machine,
        left_out=left_out,
        commands=[(entry, command(name, entry)) for entry in collected.best],
        tags=newest.run.tags,
    )


def command(name: str, entry: Entry) -> str:
    """What runs a cell again."""
    params = entry.run.params
    own = ("l2", "dropout", "xi", "omega", "epochs", "beta")
    settings = " ".join(f"method.{key}={params[key]}" for key in own if key in params)
    return f"python -m edlae_sweeps dataset={name} method={entry.method} rank={entry.shown_rank} {settings}".strip()
