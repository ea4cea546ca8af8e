"""Accuracy and training error by rank, one line per method."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from edlae_sweeps.plots.files import Picture, save
from edlae_sweeps.plots.ranks import Rank, positions, set_rank_axis, sorted_ranks

_METRICS = {"ndcg_100": "nDCG@100", "recall_20": "Recall@20", "recall_50": "Recall@50"}


@dataclass(frozen=True)
class Series:
    """One line: its label and matplotlib style, ranks in ascending order, values, and optional standard errors."""

    label: str
    style: Mapping[str, Any]
    ranks: Sequence[Rank]
    values: Sequence[float]
    errors: Sequence[float] | None = None


@dataclass(frozen=True)
class Differences:
    """Paired differences reference − other by rank, one line per other method, and how to draw the reference."""

    reference: str
    style: Mapping[str, Any]
    lines: Sequence[Series]


def plot_curves(title: str, metrics: Mapping[str, Sequence[Series]], differences: Differences, path: Path) -> Picture:
    """Figure 1: test metrics by rank with a band of ± 1 SE, and paired differences to the reference (lower left)."""
    figure = Figure(figsize=(10, 8), layout="constrained")
    axes = figure.subplots(2, 2)
    figure.suptitle(title)
    for ax, (metric, lines) in zip((axes[0, 0], axes[0, 1], axes[1, 1]), metrics.items(), strict=False):
        draw(ax, lines)
        ax.set_ylabel(f"test {_METRICS[metric]}, ± 1 SE")
    draw(axes[1, 0], differences.lines)
    line = {key: differences.style[key] for key in ("color", "linestyle", "linewidth") if key in differences.style}
    axes[1, 0].axhline(0, **line)
    reference = differences.reference
    axes[1, 0].set_ylabel(f"nDCG@100: {reference} − other, ± 1 SE\n(paired; above 0 the {reference} is better)")
    add_legend(axes[0, 0])
    return save(figure, path)


def plot_training(title: str, squared_error: Sequence[Series], objective: Sequence[Series], path: Path) -> Picture:
    """Training squared error (left) and objective of Eq. 7 (right) by rank."""
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    figure.suptitle(title)
    panels = ((left, squared_error, "squared error"), (right, objective, "objective (Eq. 7), own λ and p"))
    for ax, lines, label in panels:
        draw(ax, lines)
        ax.set_ylabel(label)
    add_legend(left)
    return save(figure, path)


def draw(ax: Axes, lines: Sequence[Series]) -> None:
    """Draw each series with its band over the ranks of all series."""
    axis = sorted_ranks(rank for line in lines for rank in line.ranks)
    for line in lines:
        x, values = positions(line.ranks, axis), np.array(line.values)
        ax.plot(x, values, label=line.label, **{"markersize": 4.5, **line.style})
        if line.errors is not None:
            errors, color = np.array(line.errors), line.style.get("color")
            ax.fill_between(x, values - errors, values + errors, color=color, alpha=0.12, linewidth=0)
    set_rank_axis(ax, axis)
    ax.grid(alpha=0.25)


def add_legend(ax: Axes) -> None:
    """Add a legend in the order of the lines' right ends, top first."""
    handles, labels = ax.get_legend_handles_labels()
    ends = [float(np.asarray(line.get_ydata())[-1]) for line in ax.get_lines() if line.get_label() in labels]
    order = sorted(range(len(ends)), key=lambda index: -ends[index])
    ax.legend([handles[index] for index in order], [labels[index] for index in order])
