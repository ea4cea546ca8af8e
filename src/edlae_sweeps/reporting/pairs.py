"""Paired comparison: the difference of two methods on the same test users.

Its standard error is far smaller than that of the difference of two independent means. Stars and adjusted p allow for
the number of comparisons. A pair of a tuned and an untuned cell, or of cells tuned by different metrics, says little
about the methods: it is shown with a dagger, and is no part of the correction.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edlae_sweeps.reporting.collect import Collected, StoredCell
from edlae_sweeps.reporting.reader import Reader
from edlae_sweeps.reporting.statistics import Paired, holm, paired
from edlae_sweeps.reporting.tables import Table
from edlae_sweeps.reporting.texts import counted, p_value, signed
from edlae_sweeps.reporting.tuned import alike, tuning_of_pair, tuning_of_row, warning

# Levels of an adjusted p, and their marks.
_MARKS = ((0.001, "***"), (0.01, "**"), (0.05, "*"))
_UNLIKE = "†"
_LEGEND = (
    "Errors are standard errors over users. Stars: different at a family-wise level of 5 % (*), 1 % (**) or 0.1 % "
    "(***), by the normal test of the mean with Holm's correction over all pairs of this table."
)
_COLUMNS = (
    "d_z: mean / SD of the differences of the users (Cohen). p: normal test of the mean, and Wilcoxon's signed-rank "
    "test without the users that are tied; beside each, p after Holm's correction over all pairs. The intervals are "
    "not corrected."
)


@dataclass(frozen=True)
class Pair:
    """Test nDCG@100 of the users, reference − competitor, at one rank.

    alike             whether both cells were tuned by the same metric, or neither
    tuning            how their parameters were chosen, in words
    cells             reference and competitor
    normal, wilcoxon  p of the two tests after Holm's correction over the pairs of cells tuned alike; None for others
    """

    competitor: str
    rank: int | None
    statistics: Paired
    alike: bool
    tuning: str
    cells: tuple[StoredCell, StoredCell]
    normal: float | None = None
    wilcoxon: float | None = None

    @property
    def difference(self) -> float:
        """The mean over users."""
        return self.statistics.mean

    @property
    def error(self) -> float:
        """The standard error of the mean."""
        return self.statistics.error

    @property
    def mark(self) -> str:
        """One to three stars for the level at which the difference is significant; a dagger where it has none."""
        if self.normal is None:
            return _UNLIKE
        return next((mark for level, mark in _MARKS if self.normal < level), "")


def compare(collected: Collected, reader: Reader) -> list[Pair]:
    """Compare the reference with every competitor at each rank that both have, if their test users are the same.

    Cells whose metrics of the users are gone are left out; `reader` tells which.
    """
    pairs = []
    for reference in collected.of(collected.reference):
        ours = reader.arrays(reference, "per_user.npz", ("users", "ndcg_100"))
        for competitor in collected.best:
            compared = competitor.method != reference.method and competitor.look.role == "compared"
            if ours and compared and competitor.rank == reference.rank:
                theirs = reader.arrays(competitor, "per_user.npz", ("users", "ndcg_100"))
                pair = _pair(reference, competitor, ours, theirs) if theirs else None
                pairs += [pair] if pair else []
    return _corrected(pairs)


def _pair(
    reference: StoredCell,
    competitor: StoredCell,
    ours: Mapping[str, NDArray[Any]],
    theirs: Mapping[str, NDArray[Any]],
) -> Pair | None:
    if not np.array_equal(ours["users"], theirs["users"]):
        return None
    statistics = paired(ours["ndcg_100"] - theirs["ndcg_100"])
    same, tuning = alike(reference, competitor), tuning_of_pair(reference, competitor)
    return Pair(competitor.method, competitor.rank, statistics, same, tuning, (reference, competitor))


def _corrected(pairs: list[Pair]) -> list[Pair]:
    """The pairs with p after Holm's correction over those of cells tuned alike."""
    family = [pair.statistics for pair in pairs if pair.alike]
    normal = iter(holm([statistics.normal for statistics in family]))
    wilcoxon = iter(holm([statistics.wilcoxon for statistics in family]))
    return [replace(pair, normal=next(normal), wilcoxon=next(wilcoxon)) if pair.alike else pair for pair in pairs]


def pairs_table(collected: Collected, pairs: list[Pair]) -> Table:
    """One row per rank, one column per competitor, and how the cells were tuned."""
    competitors = [method for method in collected.methods if any(pair.competitor == method for pair in pairs)]
    by_cell = {(pair.competitor, pair.rank): pair for pair in pairs}
    rows = []
    for rank in collected.ranks:
        texts = []
        for competitor in competitors:
            pair = by_cell.get((competitor, rank))
            texts.append(f"{signed(pair.difference)} ± {pair.error:.4f}{pair.mark}" if pair else "")
        if any(texts):
            cells = (
                cell for competitor in competitors if (pair := by_cell.get((competitor, rank))) for cell in pair.cells
            )
            rows.append(("full" if rank is None else str(rank), *texts, tuning_of_row(cells)))
    differences = (f"{collected.reference} − {competitor}" for competitor in competitors)
    return Table(
        "Paired differences in test nDCG@100",
        ("rank", *differences, "parameters"),
        tuple(rows),
        caption="Mean over the same test users, at each rank that both methods have.",
        note=_note(pairs, _LEGEND),
        warning=_warning(pairs),
    )


def statistics_table(collected: Collected, pairs: list[Pair]) -> Table:
    """One row per pair: the difference with its interval, the effect size, both tests, and how cells were tuned."""
    header = ("reference − competitor", "rank", "difference", "SE", "stars", "95 % interval", "d_z", "better", "worse",
              "tied", "p", "p (Holm)", "Wilcoxon p", "Wilcoxon p (Holm)", "parameters")  # fmt: skip
    order = {method: number for number, method in enumerate(collected.methods)}
    rows = []
    # Pairs come by rank: the sort is stable.
    for pair in sorted(pairs, key=lambda pair: order[pair.competitor]):
        it, (low, high) = pair.statistics, pair.statistics.interval
        rows.append(
            (
                f"{collected.reference} − {pair.competitor}",
                "full" if pair.rank is None else str(pair.rank),
                signed(it.mean),
                f"{it.error:.4f}",
                pair.mark,
                f"{signed(low)} to {signed(high)}",
                signed(it.effect, 3),
                *(f"{100 * share:.1f} %" for share in (it.better, it.worse, it.tied)),
                *(p_value(p) for p in (it.normal, pair.normal, it.wilcoxon, pair.wilcoxon)),
                pair.tuning,
            )
        )
    return Table(
        "Statistics of the paired differences in test nDCG@100",
        header,
        tuple(rows),
        caption="One pair of cells a row, with interval, effect size and two tests.",
        note=_note(pairs, f"{_LEGEND} {_COLUMNS}"),
        warning=_warning(pairs),
        keys=2,
    )


def _warning(pairs: list[Pair]) -> str:
    """A sentence on the pairs of a tuned and an untuned cell, or of cells tuned by different metrics."""
    return warning(cell for pair in pairs if not pair.alike for cell in pair.cells)


def _note(pairs: list[Pair], legend: str) -> str:
    """The legend, and how many pairs are no part of the correction and why; empty without pairs."""
    unlike = [pair for pair in pairs if not pair.alike]
    if not pairs:
        return ""
    if not unlike:
        return legend
    reasons = Counter(pair.tuning.partition(" (")[0] for pair in unlike)
    numbers = ", ".join(f"{number} {reason}" for reason, number in reasons.items())
    number = f"{len(unlike)} of {counted(len(pairs), 'pair')}"
    return f"{legend} {_UNLIKE}: no stars and no part of the correction, {number}: {numbers}."
