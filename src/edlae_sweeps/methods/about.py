"""Ranks, and what a method says of itself: how a report shows it, and what a fit is expected to take."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from edlae_sweeps.datasets import TrainingData

Rank = int | Literal["full"]


def low_ranks(ranks: Iterable[Rank]) -> list[int]:
    """The ranks that are numbers."""
    return [rank for rank in ranks if rank != "full"]


def largest_rank(ranks: Iterable[Rank]) -> int:
    """The largest low rank; 0 if `full` is the only rank."""
    return max([0, *low_ranks(ranks)])


@dataclass(frozen=True)
class Look:
    """How a report names and draws a method, and what part it plays there.

    label     its name in words
    style     matplotlib keywords: color, linestyle, marker, linewidth
    role      compared: a line of Figure 1; bound: training error alone; trial: a trial of the Proposition, with a
              picture of its own; timed: the speed-up table alone
    in_paper  one of the four methods of the paper's Figure 1: ranks that it lacks are reported
    by_epoch  has the panel by epoch
    """

    label: str
    style: Mapping[str, Any]
    role: Literal["compared", "bound", "trial", "timed"] = "compared"
    in_paper: bool = False
    by_epoch: bool = False


@dataclass(frozen=True)
class Estimate:
    """What a fit is expected to take.

    products     time in products of n×n×n on this machine
    seconds      time that does not scale with such a product
    bytes        peak memory, the Gram matrix included
    model_bytes  size of the models of all ranks
    """

    products: float
    seconds: float
    bytes: int
    model_bytes: int


def linear_bytes(data: TrainingData, ranks: Sequence[Rank]) -> int:
    """Bytes of the linear models of these ranks: U and V (n, k) each, or B (n, n) and d (n,), which is in float64."""
    n, itemsize = data.n_items, data.dtype.itemsize
    return sum(n * n * itemsize + 8 * n if rank == "full" else 2 * n * rank * itemsize for rank in ranks)
