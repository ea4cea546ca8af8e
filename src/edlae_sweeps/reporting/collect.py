"""The cells of a report: for each (method, rank) the one with the best validation nDCG@100, all measured alike."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf

from edlae_sweeps.methods import REFERENCE, Look
from edlae_sweeps.reporting.looks import by_products, look, place, polished
from edlae_sweeps.settings import METRICS
from edlae_sweeps.tracking import Experiment, StoredRun

# Tags or parameters that must agree for cells to be comparable. Cells that agree in all but the first may be repeats on
# other splits (see `splits`).
PROTOCOL = ("data_digest", "results_version", "dtype")

# Values of Eq. 7 of a cell with a lower bound on it.
_VALUES = ("train/objective", "eq7/polished")


@dataclass(frozen=True)
class StoredCell:
    """One cell in the store; `rank` is an integer, or None for full.

    `method` names fits from products and polished ones apart (see `looks`): they never stand for the others.
    """

    method: str
    rank: int | None
    run: StoredRun

    @property
    def metrics(self) -> dict[str, float]:
        """Metrics by name."""
        return dict(self.run.metrics)

    @property
    def look(self) -> Look:
        """How to name and draw the method, and its role in the report."""
        return look(self.method)

    @property
    def rank_text(self) -> str:
        """The rank in writing."""
        return "full" if self.rank is None else str(self.rank)

    @property
    def protocol(self) -> tuple[str, ...]:
        """What cells must agree in to be comparable: the values of `PROTOCOL`."""
        return tuple(self.run.tags.get(name) or self.run.params.get(name, "?") for name in PROTOCOL)

    @property
    def evaluations(self) -> int | None:
        """The number of evaluations of the search that tuned it; None if its parameters are as given."""
        if self.run.params.get("tune", "off") == "off":
            return None
        return int(self.run.metrics.get("tune/evaluations", 0))

    def holds(self, metrics: Iterable[str], params: Iterable[str]) -> bool:
        """Whether it has all of these metrics and parameters."""
        return self.run.metrics.keys() >= set(metrics) and self.run.params.keys() >= set(params)

    @property
    def tuned_by(self) -> str:
        """The validation metric that a search improves, if there was one; older cells say nothing of it."""
        return self.run.tags.get("tuned_by", METRICS[0])

    @property
    def order(self) -> tuple[int, str, float]:
        """Sort key: methods in registry order, ranks ascending, full last."""
        return *place(self.method), float("inf") if self.rank is None else self.rank


@dataclass(frozen=True)
class Collected:
    """The cells of one data set.

    best      for each (method, rank) the best cell, in order; methods that are only timed excluded
    timed     cells that were repeated for timing
    trials    every cell of a method that tests the Proposition, once per run key
    others    the cells of each other data, split, dtype or version, by `protocol`
    bounded   cells with a lower bound on Eq. 7
    """

    best: list[StoredCell]
    timed: list[StoredCell]
    trials: list[StoredCell]
    others: Mapping[tuple[str, ...], list[StoredCell]]
    bounded: Sequence[StoredCell] = ()

    def of(self, method: str) -> list[StoredCell]:
        """The cells of a method by rank."""
        return [cell for cell in self.best if cell.method == method]

    def at(self, method: str, rank: int | None) -> StoredCell | None:
        """The cell of a method at a rank; None if there is none."""
        return next((cell for cell in self.of(method) if cell.rank == rank), None)

    @property
    def methods(self) -> list[str]:
        """The methods in registry order."""
        return list(dict.fromkeys(cell.method for cell in self.best))

    @property
    def reference(self) -> str:
        """The method that others are compared with: fitted in the way that has more ranks, from a dense G if equal."""
        return max(REFERENCE, by_products(REFERENCE), key=lambda method: len(self.of(method)))

    @property
    def ranks(self) -> list[int | None]:
        """Every rank of any method, full last."""
        numbers = sorted({cell.rank for cell in self.best if cell.rank is not None})
        return [*numbers, *([None] if any(cell.rank is None for cell in self.best) else [])]


def collect(experiment: Experiment) -> Collected:
    """Collect the finished cells. If they differ in data, split, dtype or version, the largest group is reported."""
    groups: dict[tuple[str, ...], list[StoredCell]] = {}
    for run in experiment.cells():
        cell = _stored_cell(run)
        groups.setdefault(cell.protocol, []).append(cell)
    # Of groups of equal size, the newest.
    chosen = max(reversed(groups), key=lambda protocol: len(groups[protocol]), default=None)
    alike = groups.pop(chosen) if chosen else []
    best = best_cells(alike)
    return Collected(
        best=[cell for cell in best if cell.look.role != "timed"],
        timed=[cell for cell in alike if cell.run.tags.get("repeat")],
        trials=list({cell.run.tags["run_key"]: cell for cell in alike if cell.look.role == "trial"}.values()),
        bounded=[cell for cell in alike if _is_bounded(cell)],
        others=groups,
    )


def best_cells(cells: Sequence[StoredCell]) -> list[StoredCell]:
    """Of each (method, rank) the cell with the best validation nDCG@100, the newest of equals, in order.

    Of cells with the same run key, whose results are the same, the newest of those with the most test metrics counts.
    """
    by_key: dict[str, StoredCell] = {}
    for cell in cells:
        before = by_key.get(cell.run.tags["run_key"])
        if before is None or _test_metrics(cell) >= _test_metrics(before):
            by_key[cell.run.tags["run_key"]] = cell
    ordered = sorted(by_key.values(), key=lambda cell: cell.order)
    # max takes the first of equals: reversed, that is the newest.
    return [
        max(reversed(list(group)), key=lambda cell: cell.metrics["validation/ndcg_100"])
        for _, group in itertools.groupby(ordered, key=lambda cell: cell.order)
    ]


def _is_bounded(cell: StoredCell) -> bool:
    if not cell.holds(("eq7/lower_bound", *_VALUES), ("l2", "dropout")):
        return False
    # Shares are of these values.
    return 0 <= cell.metrics["eq7/lower_bound"] < inf and all(0 < cell.metrics[name] < inf for name in _VALUES)


def _test_metrics(cell: StoredCell) -> int:
    return sum(name.startswith("test/") for name in cell.run.metrics)


def _stored_cell(run: StoredRun) -> StoredCell:
    method, rank = run.params["method"], run.params["rank"]
    if run.tags.get("gram") == "products":
        method = by_products(method)
    elif run.params.get("polish", "none") != "none":
        method = polished(method)
    return StoredCell(method, None if rank == "full" else int(rank), run)
