"""The table at the end of a job, and the command to browse what it left."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from edlae_sweeps.cells import Cell
from edlae_sweeps.console import print_line, print_table
from edlae_sweeps.settings import Settings
from edlae_sweeps.tracking import database_uri, redacted

_HEADER = ("method", "rank", "λ", "p", "nDCG@100 ± SE", "Recall@20", "Recall@50", "sq. error", "fit s")


def print_summary(jobs: Sequence[tuple[Settings, list[Cell]]]) -> None:
    """Test metrics of all cells, a table a data set, under its popularity baseline; then how to browse."""
    for label in dict.fromkeys(settings.dataset.label for settings, _ in jobs):
        cells = [cell for settings, cells in jobs if settings.dataset.label == label for cell in cells]
        first = cells[0].metrics
        baseline = [
            "popularity", "", "", "", _with_error(first, "baseline/ndcg_100"),
            f"{first['baseline/recall_20']:.4f}", f"{first['baseline/recall_50']:.4f}", "", "",
        ]  # fmt: skip
        print_table(f"{label}, test users", _HEADER, [baseline, *map(_row, cells)])
        if any(cell.tags["shared"] == "true" for cell in cells):
            print_line("* the factorisation is shared by the ranks of its job")
    for line in dict.fromkeys(_browse(settings) for settings, _ in jobs):
        print_line(line)


def _browse(settings: Settings) -> str:
    uri = settings.tracking.uri or database_uri(Path(settings.tracking.dir))
    if uri.startswith(("http://", "https://")):
        return f"browse: {redacted(uri)}"
    return f"browse: mlflow ui --backend-store-uri {shlex.quote(redacted(uri))}"


def _row(cell: Cell) -> list[str]:
    params, metrics = cell.params, cell.metrics
    return [
        params["method"],
        str(params["rank"]),
        _number(params.get("l2")),
        _number(params.get("dropout")),
        _with_error(metrics, "test/ndcg_100"),
        f"{metrics['test/recall_20']:.4f}",
        f"{metrics['test/recall_50']:.4f}",
        f"{metrics['train/squared_error']:,.0f}",
        f"{metrics['time/fit_seconds']:.1f}" + ("*" if cell.tags["shared"] == "true" else ""),
    ]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _with_error(metrics: dict[str, float], name: str) -> str:
    return f"{metrics[name]:.4f} ± {metrics[f'{name}_se']:.4f}"
