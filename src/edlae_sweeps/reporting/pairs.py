"""Paired comparison: the difference of two methods on the same test users.

Its standard error is far smaller than that of the difference of two independent means.
"""

from dataclasses import dataclass

import numpy as np

from edlae_sweeps.reporting.collect import Collected
from edlae_sweeps.reporting.reader import Reader
from edlae_sweeps.reporting.tables import Table

# Two-sided normal quantiles: 5 %, 1 %, 0.1 %.
_MARKS = ((3.29, "***"), (2.58, "**"), (1.96, "*"))


@dataclass(frozen=True)
class Pair:
    """Mean over users of test nDCG@100, reference − competitor, at one rank, and its standard error."""

    competitor: str
    rank: int | None
    difference: float
    error: float

    @property
    def mark(self) -> str:
        """One to three stars: the level at which the difference is significant."""
        if self.error == 0:
            return ""
        return next((mark for quantile, mark in _MARKS if abs(self.difference) > quantile * self.error), "")


def compare(collected: Collected, reader: Reader) -> list[Pair]:
    """Compare the reference with every competitor at each rank that both have, if their test users are the same."""
    pairs = []
    for reference in collected.of(collected.reference):
        ours = reader.arrays(reference, "per_user.npz")
        for competitor in collected.best:
            compared = competitor.method != reference.method and competitor.look.role == "compared"
            if not compared or competitor.rank != reference.rank:
                continue
            theirs = reader.arrays(competitor, "per_user.npz")
            if not np.array_equal(ours["users"], theirs["users"]):
                continue
            difference = ours["ndcg_100"] - theirs["ndcg_100"]
            error = float(difference.std() / np.sqrt(len(difference)))
            pairs.append(Pair(competitor.method, competitor.rank, float(difference.mean()), error))
    return pairs


def pairs_table(collected: Collected, pairs: list[Pair]) -> Table:
    """One row per rank, one column per competitor."""
    competitors = [method for method in collected.methods if any(pair.competitor == method for pair in pairs)]
    by_cell = {(pair.competitor, pair.rank): pair for pair in pairs}
    rows = []
    for rank in collected.ranks:
        texts = []
        for competitor in competitors:
            pair = by_cell.get((competitor, rank))
            texts.append(f"{pair.difference:+.4f} ± {pair.error:.4f}{pair.mark}" if pair else "")
        if any(texts):
            rows.append(("full" if rank is None else str(rank), *texts))
    header = ("rank", *(f"{collected.reference} − {competitor}" for competitor in competitors))
    return Table("Paired differences in test nDCG@100 (* 5 %, ** 1 %, *** 0.1 %)", header, tuple(rows))
