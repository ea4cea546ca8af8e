"""The cells that a report is made of: of each (method, rank) the best validated one, all measured alike."""

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from edlae_sweeps.tracking import Experiment, Found

# Order of lines and rows: as in Figure 1, and then what goes beyond it.
ORDER = ("admm", "closed", "zero_diag", "unconstrained", "relaxed", "denoising", "svd", "deep", "admm_published")
# Without any regularisation: they are told of by their squared error, and are no recommenders to be compared.
UNREGULARISED = ("svd", "deep")
# What cells have to have in common to be compared.
_ALIKE = ("data_digest", "results_version", "dtype")


@dataclass(frozen=True)
class Entry:
    """One cell as the store has it; `rank` is a number or None for full."""

    method: str
    rank: int | None
    run: Found

    @property
    def metrics(self) -> dict[str, float]:
        """Its metrics by name."""
        return dict(self.run.metrics)

    @property
    def shown_rank(self) -> str:
        """The rank as it is written."""
        return "full" if self.rank is None else str(self.rank)

    @property
    def order(self) -> tuple[int, str, float]:
        """Methods in their order, ranks ascending, full last."""
        place = ORDER.index(self.method) if self.method in ORDER else len(ORDER)
        return place, self.method, float("inf") if self.rank is None else self.rank


@dataclass(frozen=True)
class Collected:
    """The best cell of each (method, rank); those that were repeated to be timed; all deep autoencoders, each once;
    what was left out, in words.
    """

    best: list[Entry]
    timed: list[Entry]
    deep: list[Entry]
    left_out: list[str]

    def of(self, method: str) -> list[Entry]:
        """The cells of one method by rank."""
        return [entry for entry in self.best if entry.method == method]

    def at(self, method: str, rank: int | None) -> Entry | None:
        """The cell of one method and rank."""
        return next((entry for entry in self.of(method) if entry.rank == rank), None)

    @property
    def methods(self) -> list[str]:
        """The methods in their order."""
        return list(dict.fromkeys(entry.method for entry in self.best))

    @property
    def ranks(self) -> list[int | None]:
        """Every rank that a method has, full last."""
        numbers = sorted({entry.rank for entry in self.best if entry.rank is not None})
        return [*numbers, *([None] if any(entry.rank is None for entry in self.best) else [])]


def collect(experiment: Experiment) -> Collected:
    """All finished cells of a data set. Where they differ in data, split, type or version, the most numerous count."""
    cells = [_entry(run) for run in experiment.find("tags.kind = 'cell'")]
    kinds = Counter(_kind(cell) for cell in cells)
    # Of equally many the newest.
    chosen = max(reversed(kinds), key=lambda kind: kinds[kind], default=None)
    left_out = [
        f"{count} cell(s) with " + ", ".join(f"{name} {value[:12]}" for name, value in zip(_ALIKE, kind, strict=True))
        for kind, count in kinds.items()
        if kind != chosen
    ]
    alike = [cell for cell in cells if _kind(cell) == chosen]
    timed = [cell for cell in alike if cell.run.tags.get("repeat")]
    best: list[Entry] = []
    ordered = sorted(alike, key=lambda cell: cell.order)
    for _, group in itertools.groupby(ordered, key=lambda cell: cell.order):
        # max takes the first of equals: the newest.
        best.append(max(reversed(list(group)), key=lambda cell: cell.metrics["validation/ndcg_100"]))
    deep = {cell.run.tags["run_key"]: cell for cell in alike if cell.method == "deep"}
    shown = [cell for cell in best if cell.method != "admm_published"]
    return Collected(shown, timed, list(deep.values()), left_out + _missing(best))


def _missing(best: Sequence[Entry]) -> list[str]:
    """Ranks that one method of Figure 1 has and another not, and the command that computes them."""
    main = [entry for entry in best if entry.method in ORDER[:4]]
    ranks = list(dict.fromkeys(entry.shown_rank for entry in sorted(main, key=lambda one: one.order[2])))
    found = []
    for method in ORDER[:4]:
        has = {entry.shown_rank for entry in main if entry.method == method}
        if lacks := [rank for rank in ranks if rank not in has]:
            dataset = main[0].run.params["dataset"]
            found.append(
                f"{method} has no finished cell at rank {', '.join(lacks)}: python -m edlae_sweeps dataset={dataset} "
                f"method={method} 'rank=[{','.join(lacks)}]'"
            )
    return found


def _entry(run: Found) -> Entry:
    rank = run.params["rank"]
    return Entry(run.params["method"], None if rank == "full" else int(rank), run)


def _kind(cell: Entry) -> tuple[str, ...]:
    return tuple(cell.run.tags.get(name) or cell.run.params.get(name, "?") for name in _ALIKE)
