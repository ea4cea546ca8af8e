"""Eq. 7 of models between a lower bound and what is known to be reached."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from edlae_sweeps.plots.curves import Series, draw
from edlae_sweeps.plots.files import Picture, save
from edlae_sweeps.plots.ranks import positions, sorted_ranks


def plot_sandwich(title: str, bound: Series, lines: Sequence[Series], path: Path) -> Picture:
    """Eq. 7 by rank over the shaded region that no model reaches (left), and its excess over the bound (right)."""
    figure = Figure(figsize=(10, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    figure.suptitle(title)
    draw(left, [*lines, bound])
    x = positions(bound.ranks, sorted_ranks(bound.ranks))
    low = left.get_ylim()[0]
    left.fill_between(x, low, bound.values, color="0.85", zorder=0)
    left.set_ylim(bottom=low)
    left.set_ylabel("objective (Eq. 7)")
    bounds = dict(zip(bound.ranks, bound.values, strict=True))
    draw(right, [_excess(line, bounds) for line in lines])
    right.set_ylim(bottom=0)
    right.set_ylabel("share of Eq. 7 above the lower bound, %")
    left.legend()
    return save(figure, path)


def _excess(line: Series, bounds: dict[int | None, float]) -> Series:
    values = [100 * (1 - bounds[rank] / value) for rank, value in zip(line.ranks, line.values, strict=True)]
    return Series(line.label, line.style, line.ranks, values)
