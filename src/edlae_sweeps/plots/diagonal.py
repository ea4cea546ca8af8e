"""The diagonal of UVᵀ (Section 3.2 of the paper)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from edlae_sweeps.plots.files import Picture, save
from edlae_sweeps.plots.ranks import Rank, positions, set_rank_axis


@dataclass(frozen=True)
class Residuals:
    """Mean squared entries of B − UVᵀ by rank: on the diagonal and off it."""

    ranks: Sequence[Rank]
    diagonal: Sequence[float]
    off_diagonal: Sequence[float]


@dataclass(frozen=True)
class DiagonalPair:
    """diag(UVᵀ) (n,) of the reference method and of its rival, at one rank."""

    rank: int
    reference: NDArray[Any]
    rival: NDArray[Any]

    @property
    def correlation(self) -> float | None:
        """Correlation over items; None where a diagonal is constant."""
        values = np.array([self.reference, self.rival])
        return float(np.corrcoef(values)[0, 1]) if np.ptp(values, 1).all() else None


def plot_diagonal(
    title: str, residuals: Residuals, pair: DiagonalPair | None, labels: tuple[str, str], path: Path
) -> Picture:
    """The reference's residuals by rank, and its diagonal against the rival's. `labels` name reference and rival."""
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    figure.suptitle(title)
    x = positions(residuals.ranks, residuals.ranks)
    left.plot(x, residuals.diagonal, "s-", color="black", label="on the diagonal")
    left.plot(x, residuals.off_diagonal, "o--", color="0.5", label="off the diagonal")
    left.set(yscale="log", ylabel=f"mean squared entry of B − UVᵀ, {labels[0]}")
    set_rank_axis(left, residuals.ranks)
    left.legend()
    if pair is None:
        right.set_axis_off()
        right.text(0.5, 0.5, f"no rank has both {labels[1]} and {labels[0]}", ha="center")
    else:
        _scatter(right, pair, labels)
    return save(figure, path)


def _scatter(ax: Axes, pair: DiagonalPair, labels: tuple[str, str]) -> None:
    """One point per item, and the line of equality."""
    # Thousands of points: as vectors, they would be most of a page.
    ax.scatter(pair.reference, pair.rival, s=4, alpha=0.4, color="black", linewidth=0, rasterized=True)
    ends = [min(pair.reference.min(), pair.rival.min()), max(pair.reference.max(), pair.rival.max())]
    ax.plot(ends, ends, color="red", linestyle=":")
    ax.set(xlabel=f"diag(UVᵀ), {labels[0]}", ylabel=f"diag(UVᵀ), {labels[1]}")
    note = "" if pair.correlation is None else f", correlation {pair.correlation:.2f}"
    ax.set_title(f"rank {pair.rank}: one point per item{note}", fontsize="medium")
