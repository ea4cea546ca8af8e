"""The cells of a report: for each (method, rank) the one with the best validation nDCG@100, all measured alike."""

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from edlae_sweeps.methods import REFERENCE, Look
from edlae_sweeps.reporting.looks import by_products, look, paper_methods, place
from edlae_sweeps.reporting.tables import counted
from edlae_sweeps.tracking import Experiment, StoredRun

# Tags or parameters that must agree for cells to be comparable.
_PROTOCOL = ("data_digest", "results_version", "dtype")


@dataclass(frozen=True)
class StoredCell:
    """One cell in the store; `rank` is an integer, or None for full.

    `method` names fits from products apart (see `looks`): they are approximations, and never stand for the others.
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
    def order(self) -> tuple[int, str, float]:
        """Sort key: methods in registry order, ranks ascending, full last."""
        return *place(self.method), float("inf") if self.rank is None else self.rank


@dataclass(frozen=True)
class Collected:
    """The cells of one data set.

    best      for each (method, rank) the best cell, in order; methods that are only timed excluded
    timed     cells that were repeated for timing
    trials    every cell of a method that tests the Proposition, once per run key
    left_out  one line for each group of cells that the report excludes
    """

    best: list[StoredCell]
    timed: list[StoredCell]
    trials: list[StoredCell]
    left_out: list[str]

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
    """Collect the finished cells. If they differ in data, split, dtype or version, the largest group counts."""
    cells = [_stored_cell(run) for run in experiment.find("tags.kind = 'cell'")]
    sizes = Counter(_protocol(cell) for cell in cells)
    # Of groups of equal size, the newest.
    chosen = max(reversed(sizes), key=lambda protocol: sizes[protocol], default=None)
    left_out = [
        f"{counted(size, 'cell')} with "
        + ", ".join(f"{name} {value[:12]}" for name, value in zip(_PROTOCOL, protocol, strict=True))
        for protocol, size in sizes.items()
        if protocol != chosen
    ]
    alike = [cell for cell in cells if _protocol(cell) == chosen]
    best: list[StoredCell] = []
    ordered = sorted(alike, key=lambda cell: cell.order)
    for _, group in itertools.groupby(ordered, key=lambda cell: cell.order):
        # max takes the first of equals: reversed, that is the newest.
        best.append(max(reversed(list(group)), key=lambda cell: cell.metrics["validation/ndcg_100"]))
    return Collected(
        best=[cell for cell in best if cell.look.role != "timed"],
        timed=[cell for cell in alike if cell.run.tags.get("repeat")],
        trials=list({cell.run.tags["run_key"]: cell for cell in alike if cell.look.role == "trial"}.values()),
        left_out=left_out + _missing(best),
    )


def _missing(best: Sequence[StoredCell]) -> list[str]:
    """Ranks that some of the paper's methods have and others lack, with the command that runs them.

    Ranks that only products have don't count, since other methods can't have them.
    """
    methods = paper_methods()
    cells = sorted((cell for cell in best if cell.method in methods), key=lambda cell: cell.order[2])
    ranks = list(dict.fromkeys(cell.rank_text for cell in cells))
    lines = []
    for method in methods:
        finished = {cell.rank_text for cell in best if cell.method in (method, by_products(method))}
        if missing := [rank for rank in ranks if rank not in finished]:
            dataset = cells[0].run.params["dataset"]
            lines.append(
                f"{method} has no finished cell at rank {', '.join(missing)}; "
                f"run python -m edlae_sweeps dataset={dataset} method={method} 'rank=[{','.join(missing)}]'"
            )
    return lines


def _stored_cell(run: StoredRun) -> StoredCell:
    method, rank = run.params["method"], run.params["rank"]
    if run.tags.get("gram") == "products":
        method = by_products(method)
    return StoredCell(method, None if rank == "full" else int(rank), run)


def _protocol(cell: StoredCell) -> tuple[str, ...]:
    return tuple(cell.run.tags.get(name) or cell.run.params.get(name, "?") for name in _PROTOCOL)
