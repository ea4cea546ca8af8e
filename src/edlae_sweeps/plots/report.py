"""The figures of the report. A rank is a number, or None for full."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator
from numpy.typing import NDArray

from edlae_sweeps.plots.files import save

Rank = int | None
# The paper's colours and lines; markers and lines tell them apart in grey.
_STYLES: dict[str, dict[str, Any]] = {
    "admm": {"label": "ADMM", "color": "black", "linestyle": "-", "marker": "o"},
    "closed": {"label": "closed form", "color": "red", "linestyle": ":", "marker": "s", "linewidth": 2.2},
    "zero_diag": {"label": "zero diagonal", "color": "green", "linestyle": "-", "marker": "^"},
    "unconstrained": {"label": "unconstrained", "color": "blue", "linestyle": "--", "marker": "D"},
    "relaxed": {"label": "relaxed diagonal", "color": "darkorange", "linestyle": "-.", "marker": "v"},
    "denoising": {"label": "denoising", "color": "purple", "linestyle": "--", "marker": "P"},
    "svd": {"label": "SVD, the bound", "color": "0.45", "linestyle": (0, (1, 1)), "marker": "x"},
}
_NAMES = {"ndcg_100": "nDCG@100", "recall_20": "Recall@20", "recall_50": "Recall@50"}


@dataclass(frozen=True)
class Epochs:
    """ADMM of one rank, epoch by epoch, and the closed form's values of the same, where they can be compared."""

    seconds: Sequence[float]
    objective: Sequence[float]
    ndcg: Sequence[float]
    closed_objective: float | None
    closed_ndcg: float | None


@dataclass(frozen=True)
class Series:
    """One line: a method, its ranks in order, values there, and standard errors if there are any."""

    method: str
    ranks: Sequence[Rank]
    values: Sequence[float]
    errors: Sequence[float] | None = None


def plot_curves(title: str, metrics: Mapping[str, Sequence[Series]], pairs: Sequence[Series], path: Path) -> list[Path]:
    """Figure 1: test metrics over rank with a band of ± 1 SE, and below the paired differences to the closed form."""
    figure = Figure(figsize=(10, 8), layout="constrained")
    axes = figure.subplots(2, 2)
    figure.suptitle(title)
    for ax, (metric, lines) in zip((axes[0, 0], axes[0, 1], axes[1, 1]), metrics.items(), strict=False):
        _lines(ax, lines)
        ax.set_ylabel(f"test {_NAMES[metric]}, ± 1 SE")
    _lines(axes[1, 0], pairs)
    axes[1, 0].axhline(0, color=_STYLES["closed"]["color"], linestyle=":", linewidth=2.2)
    axes[1, 0].set_ylabel("nDCG@100: closed form − other, ± 1 SE\n(paired; above 0 the closed form is better)")
    _legend(axes[0, 0])
    return save(figure, path)


def plot_training(title: str, squared_error: Sequence[Series], objective: Sequence[Series], path: Path) -> list[Path]:
    """Training squared error with the SVD bound, and the objective of Eq. 7, over rank."""
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    figure.suptitle(title)
    for ax, lines, label in (
        (left, squared_error, "squared error"),
        (right, objective, "objective (Eq. 7), own λ and p"),
    ):
        _lines(ax, lines)
        ax.set_ylabel(label)
    _legend(left)
    return save(figure, path)


def plot_epochs(title: str, runs: Mapping[int, Epochs], path: Path) -> list[Path]:
    """ADMM's objective over epochs and seconds, and its validation nDCG@100 over epochs if there is any, by rank."""
    validated = any(run.ndcg for run in runs.values())
    figure = Figure(figsize=(13 if validated else 10, 4.2), layout="constrained")
    axes = figure.subplots(1, 3 if validated else 2)
    figure.suptitle(title)
    for number, (rank, run) in enumerate(runs.items()):
        color = f"C{number}"
        axes[0].plot(range(1, len(run.objective) + 1), run.objective, color=color, marker=".", label=f"rank {rank}")
        axes[1].plot(run.seconds, run.objective, color=color, marker=".")
        lines = [(axes[0], run.closed_objective), (axes[1], run.closed_objective)]
        if validated:
            axes[2].plot(range(1, len(run.ndcg) + 1), run.ndcg, color=color, marker=".")
            lines.append((axes[2], run.closed_ndcg))
        for ax, closed in lines:
            if closed is not None:
                ax.axhline(closed, color=color, linestyle=":")
    axes[0].set(xlabel="epoch", ylabel="objective (Eq. 7)")
    axes[1].set(xlabel="seconds after the inverse", xscale="log")
    if validated:
        axes[2].set(xlabel="epoch", ylabel="validation nDCG@100")
    figure.legend(title="dotted: closed form\n(objective: if at\nthe same λ and p)", loc="outside right center")
    return save(figure, path)


def plot_diagonal(
    title: str,
    residuals: tuple[Sequence[Rank], Sequence[float], Sequence[float]],
    scatter: tuple[str, NDArray[Any], NDArray[Any]] | None,
    path: Path,
) -> list[Path]:
    """Section 3.2: the mean squared residual on and off the diagonal by rank, and the diagonals of two methods."""
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    figure.suptitle(title)
    ranks, on, off = residuals
    places = _places(ranks, ranks)
    left.plot(places, on, "s-", color="black", label="on the diagonal")
    left.plot(places, off, "o--", color="0.5", label="off the diagonal")
    left.set(yscale="log", ylabel="mean squared entry of B − UVᵀ, closed form")
    _rank_axis(left, ranks)
    left.legend()
    if scatter is None:
        right.set_axis_off()
        right.text(0.5, 0.5, "no rank has both ADMM and the closed form", ha="center")
    else:
        name, closed, admm = scatter
        right.scatter(closed, admm, s=4, alpha=0.4, color="black", linewidth=0)
        ends = [min(closed.min(), admm.min()), max(closed.max(), admm.max())]
        right.plot(ends, ends, color="red", linestyle=":")
        correlation = np.corrcoef(closed, admm)[0, 1]
        right.set(xlabel="diag(UVᵀ), closed form", ylabel="diag(UVᵀ), ADMM")
        right.set_title(f"{name}: an item a point, correlation {correlation:.2f}", fontsize="medium")
    return save(figure, path)


def _lines(ax: Axes, lines: Sequence[Series]) -> None:
    """One line a series with its band, over the ranks of all."""
    every = _union(lines)
    for line in lines:
        places, values = _places(line.ranks, every), np.array(line.values)
        style = _STYLES.get(line.method, {"label": line.method})
        ax.plot(places, values, markersize=4.5, **style)
        if line.errors is not None:
            errors = np.array(line.errors)
            ax.fill_between(places, values - errors, values + errors, color=style.get("color"), alpha=0.12, linewidth=0)
    _rank_axis(ax, every)
    ax.grid(alpha=0.25)


def _legend(ax: Axes) -> None:
    """In the order of the lines at their right end, top first."""
    handles, labels = ax.get_legend_handles_labels()
    ends = [float(np.asarray(line.get_ydata())[-1]) for line in ax.get_lines() if line.get_label() in labels]
    order = sorted(range(len(ends)), key=lambda index: -ends[index])
    ax.legend([handles[index] for index in order], [labels[index] for index in order])


def _union(lines: Sequence[Series]) -> list[Rank]:
    numbers = sorted({rank for line in lines for rank in line.ranks if rank is not None})
    return [*numbers, *([None] if any(None in line.ranks for line in lines) else [])]


def _full_place(every: Sequence[Rank]) -> float:
    return 2.2 * max([1, *(rank for rank in every if rank is not None)])


def _places(ranks: Sequence[Rank], every: Sequence[Rank]) -> list[float]:
    """Where ranks stand on the axis; full is its last tick."""
    return [_full_place(every) if rank is None else float(rank) for rank in ranks]


def _rank_axis(ax: Axes, every: Sequence[Rank]) -> None:
    ax.set_xscale("log")
    shown = _thinned(every)
    ax.xaxis.set_major_locator(FixedLocator(_places(shown, every)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xticklabels(["full" if rank is None else f"{rank:,}" for rank in shown])
    ax.set_xlabel("rank")


def _thinned(every: Sequence[Rank]) -> list[Rank]:
    """The ranks whose labels have room beside each other."""
    kept: list[Rank] = []
    for rank in reversed(every):
        place = _places([rank], every)[0]
        if not kept or _places([kept[-1]], every)[0] / place > 1.75:
            kept.append(rank)
    return kept[::-1]
