"""Paired differences over splits: one point per split, their mean and its interval."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

from edlae_sweeps.plots.files import Picture, save
from edlae_sweeps.plots.ranks import Rank, sorted_ranks

_COLUMNS = 3
# Distance between the points of a rank and their mean, of 1 between ranks.
_OFFSET = 0.18
_WIDTH = 0.2
# More ranks have no room for level labels.
_LEVEL_LABELS = 6


@dataclass(frozen=True)
class SplitPanel:
    """One competitor: its label and matplotlib style, and for each rank the difference reference − competitor on each
    split and the interval of their mean (None for a single split)."""

    label: str
    style: Mapping[str, Any]
    ranks: list[Rank]
    differences: list[Sequence[float]]
    intervals: list[tuple[float, float] | None]


def plot_splits(title: str, panels: Sequence[SplitPanel], reference: str, path: Path) -> Picture:
    """One panel for each competitor, with a scale of its own."""
    columns = min(_COLUMNS, len(panels))
    lines = ceil(len(panels) / columns)
    # One more unit of width and height for labels and title.
    figure = Figure(figsize=(1 + 3.6 * columns, 1 + 3 * lines), layout="constrained")
    figure.suptitle(title)
    axes = figure.subplots(lines, columns, squeeze=False).flatten()
    ranks = sorted_ranks(rank for panel in panels for rank in panel.ranks)
    for ax, panel in zip(axes, panels, strict=False):
        _draw(ax, panel, ranks)
    for ax in axes[len(panels) :]:
        ax.set_axis_off()
    figure.supylabel(f"nDCG@100: {reference} − other", fontsize="medium")
    figure.supxlabel("rank (small points: one split each; large ones: mean with its 95 % interval)", fontsize="medium")
    return save(figure, path)


def _draw(ax: Axes, panel: SplitPanel, ranks: Sequence[Rank]) -> None:
    """Points on the left of each rank, mean and interval on the right."""
    style = {key: panel.style[key] for key in ("color", "marker") if key in panel.style}
    color = style.setdefault("color", "0.2")
    for rank, differences, interval in zip(panel.ranks, panel.differences, panel.intervals, strict=True):
        x = ranks.index(rank)
        spread = np.linspace(-_WIDTH / 2, _WIDTH / 2, len(differences)) if len(differences) > 1 else np.zeros(1)
        ax.plot(x - _OFFSET + spread, differences, "o", color=color, markersize=3.5, alpha=0.5, linewidth=0)
        mean = float(np.mean(differences))
        if interval is not None:
            ax.plot([x + _OFFSET] * 2, interval, "-", color=color, linewidth=1.5)
        ax.plot([x + _OFFSET], [mean], **{"marker": "s", "markersize": 5.5, **style}, linestyle="none")
    ax.axhline(0, color="0.4", linewidth=0.8)
    ax.set_title(panel.label, fontsize="medium")
    ax.set_xlim(-0.5, len(ranks) - 0.5)
    ax.xaxis.set_major_locator(FixedLocator(list(range(len(ranks)))))
    labels = ["full" if rank is None else f"{rank:,}" for rank in ranks]
    ax.set_xticklabels(labels, rotation=45 if len(ranks) > _LEVEL_LABELS else 0)
    ax.grid(axis="y", alpha=0.25)
