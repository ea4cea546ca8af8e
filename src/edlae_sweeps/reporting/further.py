"""Metrics beyond the three that every cell has: a table, and the tail against accuracy by rank."""

from dataclasses import replace
from pathlib import Path

from edlae_sweeps.plots import plot_tail
from edlae_sweeps.reporting.collect import Collected, StoredCell
from edlae_sweeps.reporting.curves import further_metrics, series
from edlae_sweeps.reporting.figures import Figure
from edlae_sweeps.reporting.tables import Table
from edlae_sweeps.reporting.tuned import tuning
from edlae_sweeps.settings import Metric

_TAIL = "test/ndcg_100_tail"


def further_table(collected: Collected) -> Table | None:
    """One row for each cell with further metrics, of test users, with standard errors; None if no cell has any."""
    names = further_metrics(collected)
    labels = [Metric.parse(name).label for name in names]
    rows = []
    for cell in collected.best:
        texts = [_text(cell, f"test/{name}") for name in names]
        if any(texts):
            rows.append((cell.method, cell.rank_text, *texts, tuning(cell)))
    header = ("method", "rank", *labels, "parameters")
    note = (
        "Head: the fifth of the items with the most training events; tail: the rest. Unbiased: gains are weighted by "
        "the inverse propensity of the item. ± is one standard error over the users that count. The smaller Gini, the "
        "more evenly items are recommended."
    )
    return Table("Beyond accuracy: further test metrics", header, tuple(rows), note) if rows else None


def tail_figures(name: str, collected: Collected, target: Path) -> list[Figure]:
    """Tail nDCG@100 of the compared methods against nDCG@100, and by rank; none if no cell has it."""
    measured = replace(collected, best=[cell for cell in collected.best if _TAIL in cell.metrics])
    accuracy, tail = (series(measured, metric, "compared") for metric in ("test/ndcg_100", _TAIL))
    if not tail:
        return []
    files = plot_tail(f"{name}: accuracy against tail by rank", accuracy, tail, target / "tail")
    alt = (
        "Test nDCG@100 of the held-out items of the tail, which are not among the fifth with the most training events, "
        "over nDCG@100 of all held-out items along the ranks (left), and by rank (right)."
    )
    return [Figure("Accuracy against tail by rank", alt, files)]


def _text(cell: StoredCell, metric: str) -> str:
    if metric not in cell.metrics:
        return ""
    error = cell.metrics.get(f"{metric}_se")
    return f"{cell.metrics[metric]:.4f}" + ("" if error is None else f" ± {error:.4f}")
