"""Metrics beyond the three that every cell has: a table, and the tail against accuracy by rank."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from edlae_sweeps.plots import plot_tail
from edlae_sweeps.reporting.collect import Collected
from edlae_sweeps.reporting.curves import further_metrics, series, with_error
from edlae_sweeps.reporting.figures import Figure
from edlae_sweeps.reporting.popularity import NAME
from edlae_sweeps.reporting.tables import Table
from edlae_sweeps.reporting.tuned import tuning, warning
from edlae_sweeps.settings import Metric

_TAIL = "test/ndcg_100_tail"
_NOTE = (
    "Head: the fifth of the items with the most training events; tail: the rest. Unbiased: gains are weighted by "
    "the inverse propensity of the item. ± is one standard error over the users that count. The smaller Gini, the "
    "more evenly items are recommended."
)


def further_table(collected: Collected, baseline: Mapping[str, float]) -> Table | None:
    """One row for each cell with further metrics, of test users, with standard errors; None if no cell has any.

    `baseline` holds the test metrics of popularity, which are a row above the others if it has some of these.
    """
    names = further_metrics(collected)
    popular = [with_error(baseline, name) for name in names]
    above = (NAME, "", *popular, "") if any(popular) else ()
    rows: list[tuple[str, ...]] = []
    links, cells = {}, []
    for cell in collected.best:
        texts = [with_error(cell.metrics, f"test/{name}") for name in names]
        if any(texts):
            links[len(rows) + bool(above), 0] = cell.run.id
            rows.append((cell.method, cell.rank_text, *texts, tuning(cell)))
            cells.append(cell)
    return (
        Table(
            "Beyond accuracy: further test metrics",
            ("method", "rank", *(Metric.parse(name).label for name in names), "parameters"),
            tuple(rows),
            above,
            caption="For each method and rank that was measured by more metrics, those of test users.",
            note=_NOTE,
            warning=warning(cells),
            keys=2,
            links=links,
        )
        if cells
        else None
    )


def tail_figures(name: str, collected: Collected, target: Path) -> list[Figure]:
    """Tail nDCG@100 of the compared methods against nDCG@100, and by rank; none if no cell has it."""
    measured = replace(collected, best=[cell for cell in collected.best if _TAIL in cell.metrics])
    accuracy, tail = (series(measured, metric, "compared") for metric in ("test/ndcg_100", _TAIL))
    if not tail:
        return []
    picture = plot_tail(f"{name}: accuracy against tail by rank", accuracy, tail, target / "tail")
    alt = (
        "Test nDCG@100 of the held-out items of the tail, which are not among the fifth with the most training events, "
        "over nDCG@100 of all held-out items along the ranks (left), and by rank (right)."
    )
    return [Figure("Accuracy against tail by rank", alt, picture)]
