"""How far models are from the optimum of Eq. 7: cells with a lower bound, at one λ and p."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from edlae_sweeps.plots import Series, plot_sandwich
from edlae_sweeps.reporting.collect import Collected, StoredCell
from edlae_sweeps.reporting.figures import Figure
from edlae_sweeps.reporting.looks import is_polished, label, look
from edlae_sweeps.reporting.tables import Table
from edlae_sweeps.reporting.texts import fixed
from edlae_sweeps.reporting.tuned import tuning_of_row

_BOUND = {"color": "black", "linestyle": "-", "linewidth": 1.0}
_BEST = {"color": "tab:purple", "linestyle": "--", "marker": "v"}


@dataclass(frozen=True)
class Sandwich:
    """The cells with a lower bound at the λ and p that most of them have, by (method, rank), and what follows.

    bound  the largest lower bound of each rank
    best   the smallest value of Eq. 7 that any of the cells has, or has with the best V for its U
    """

    l2: float
    dropout: float
    cells: dict[tuple[str, int], StoredCell]
    bound: dict[int, float]
    best: dict[int, float]

    @property
    def methods(self) -> list[str]:
        """The methods in the order of the report."""
        return list(dict.fromkeys(method for method, _ in self.cells))


def sandwich(collected: Collected) -> Sandwich | None:
    """The cells that a certificate belongs to; None if there are none."""
    if not collected.bounded:
        return None
    points = Counter(_point(cell) for cell in collected.bounded)
    point = max(points, key=lambda point: points[point])
    cells: dict[tuple[str, int], StoredCell] = {}
    bound: dict[int, float] = {}
    best: dict[int, float] = {}
    for cell in sorted((cell for cell in collected.bounded if _point(cell) == point), key=lambda cell: cell.order):
        if cell.rank is None:
            continue
        # Of cells of one method and rank, the one with the smallest value.
        before = cells.get((cell.method, cell.rank))
        if before is None or cell.metrics["train/objective"] <= before.metrics["train/objective"]:
            cells[cell.method, cell.rank] = cell
        bound[cell.rank] = max(bound.get(cell.rank, 0.0), cell.metrics["eq7/lower_bound"])
        reached = min(cell.metrics["train/objective"], cell.metrics["eq7/polished"])
        best[cell.rank] = min(best.get(cell.rank, reached), reached)
    return Sandwich(*point, cells, dict(sorted(bound.items())), dict(sorted(best.items())))


def sandwich_table(found: Sandwich) -> Table:
    """One row for each rank: the bound, the best value that is known, and Eq. 7 of each method above the bound."""
    methods = found.methods
    rows: list[tuple[str, ...]] = []
    links: dict[tuple[int, int], str] = {}
    for rank, bound in found.bound.items():
        own = [found.cells.get((method, rank)) for method in methods]
        links |= {(len(rows), 3 + column): cell.run.id for column, cell in enumerate(own) if cell}
        rows.append(
            (
                str(rank),
                f"{bound:,.1f}",
                _above(found.best[rank], bound),
                *(_text(cell, bound) for cell in own),
                tuning_of_row(own),
            )
        )
    header = ("rank", "lower bound", "best known", *(f"{label(method)} (nDCG@100)" for method in methods), "parameters")
    note = (
        f"λ = {found.l2:g}, p = {found.dropout:g}. No model of the rank has an Eq. 7 below the bound, to rounding. In "
        "parentheses, after each value, the share of it that is above the bound, and after the slash test nDCG@100. "
        "Best known: also with the best V for each U."
    )
    caption = "At each rank, the bound, the best value known, and that of each method."
    return Table("Eq. 7 and its lower bound", header, tuple(rows), caption=caption, note=note, links=links)


def sandwich_figures(name: str, found: Sandwich | None, target: Path) -> list[Figure]:
    """Eq. 7 by rank and the bound; none without cells that have one."""
    if found is None:
        return []
    lines = []
    for method in found.methods:
        cells = {rank: cell for (of, rank), cell in found.cells.items() if of == method}
        values = [cell.metrics["train/objective"] for cell in cells.values()]
        lines.append(Series(look(method).label, look(method).style, list(cells), values))
    if not any(is_polished(method) for method in found.methods):
        lines.append(Series("with the best V for its U", _BEST, list(found.best), list(found.best.values())))
    bound = Series("lower bound", _BOUND, list(found.bound), list(found.bound.values()))
    title = f"{name}: Eq. 7 between a lower bound and models, λ = {found.l2:g}, p = {found.dropout:g}"
    picture = plot_sandwich(title, bound, lines, target / "sandwich")
    alt = "Eq. 7 of models by rank, above a bound below which no model of the rank is, and its share above the bound."
    return [Figure("How far from the optimum", alt, picture)]


def _point(cell: StoredCell) -> tuple[float, float]:
    return float(cell.run.params["l2"]), float(cell.run.params["dropout"])


def _above(value: float, bound: float) -> str:
    return f"{value:,.1f} ({fixed(100 * (1 - bound / value), 2)} %)"


def _text(cell: StoredCell | None, bound: float) -> str:
    if cell is None:
        return ""
    return f"{_above(cell.metrics['train/objective'], bound)} / {cell.metrics['test/ndcg_100']:.4f}"
