"""Paired comparison: the difference of two methods on the same test users, whose standard error is far smaller."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edlae_sweeps.datasets import read_arrays
from edlae_sweeps.reporting.collect import UNREGULARISED, Collected, Entry
from edlae_sweeps.reporting.tables import Table
from edlae_sweeps.tracking import Experiment

# Two-sided normal quantiles: 5 %, 1 %, 0.1 %.
_MARKS = ((3.29, "***"), (2.58, "**"), (1.96, "*"))


@dataclass(frozen=True)
class Pair:
    """Mean of `closed` − `other` in test nDCG@100 over users, at one rank, and its standard error."""

    other: str
    rank: int | None
    difference: float
    error: float

    @property
    def mark(self) -> str:
        """Stars for a difference that is unlikely to be chance, level by level."""
        if self.error == 0:
            return ""
        return next((mark for least, mark in _MARKS if abs(self.difference) > least * self.error), "")


def load_arrays(experiment: Experiment, entry: Entry, name: str, folder: Path) -> Mapping[str, NDArray[Any]]:
    """An npz artifact of a cell."""
    into = folder / entry.run.id
    into.mkdir(exist_ok=True)
    return read_arrays(experiment.fetch(entry.run.id, name, into))


def compare(collected: Collected, experiment: Experiment, folder: Path) -> list[Pair]:
    """closed against every other method, where both have a rank and were measured on the same users."""
    pairs = []
    for entry in collected.of("closed"):
        mine = load_arrays(experiment, entry, "per_user.npz", folder)
        for method in collected.methods:
            other = collected.at(method, entry.rank)
            if method == "closed" or method in UNREGULARISED or other is None:
                continue
            theirs = load_arrays(experiment, other, "per_user.npz", folder)
            if not np.array_equal(mine["users"], theirs["users"]):
                continue
            difference = mine["ndcg_100"] - theirs["ndcg_100"]
            error = float(difference.std() / np.sqrt(len(difference)))
            pairs.append(Pair(method, entry.rank, float(difference.mean()), error))
    return pairs


def pairs_table(collected: Collected, pairs: list[Pair]) -> Table:
    """A row for each rank, a column for each other method."""
    others = [method for method in collected.methods if any(pair.other == method for pair in pairs)]
    found = {(pair.other, pair.rank): pair for pair in pairs}
    rows = []
    for rank in collected.ranks:
        cells = []
        for method in others:
            pair = found.get((method, rank))
            cells.append(f"{pair.difference:+.4f} ± {pair.error:.4f}{pair.mark}" if pair else "")
        if any(cells):
            rows.append(("full" if rank is None else str(rank), *cells))
    header = ("rank", *(f"closed − {method}" for method in others))
    return Table("Paired differences in test nDCG@100 (* 5 %, ** 1 %, *** 0.1 %)", header, tuple(rows))
