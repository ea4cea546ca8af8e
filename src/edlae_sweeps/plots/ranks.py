"""The rank axis: logarithmic, with `full` as its last tick. A rank is an integer, or None for full."""

from collections.abc import Iterable, Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator

Rank = int | None
# Tick labels closer than this ratio would overlap.
_LEAST_RATIO = 1.75


def sorted_ranks(ranks: Iterable[Rank]) -> list[Rank]:
    """Distinct ranks in ascending order, full last."""
    distinct = set(ranks)
    return [*sorted(rank for rank in distinct if rank is not None), *([None] if None in distinct else [])]


def positions(ranks: Sequence[Rank], axis: Sequence[Rank]) -> list[float]:
    """x coordinates of `ranks` on an axis that shows the ranks `axis`."""
    full = 2.2 * max([1, *(rank for rank in axis if rank is not None)])
    return [full if rank is None else float(rank) for rank in ranks]


def set_rank_axis(ax: Axes, axis: Sequence[Rank]) -> None:
    """Scale, ticks and label of the x axis."""
    ax.set_xscale("log")
    shown = _thinned(axis)
    ax.xaxis.set_major_locator(FixedLocator(positions(shown, axis)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xticklabels(["full" if rank is None else f"{rank:,}" for rank in shown])
    ax.set_xlabel("rank")


def _thinned(axis: Sequence[Rank]) -> list[Rank]:
    """The ranks with room for a label, chosen from the largest down."""
    kept: list[Rank] = []
    for rank in reversed(axis):
        position = positions([rank], axis)[0]
        if not kept or positions([kept[-1]], axis)[0] / position > _LEAST_RATIO:
            kept.append(rank)
    return kept[::-1]
