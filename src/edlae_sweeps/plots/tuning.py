"""Pictures of a search."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

_LABELS = {"l2": "λ", "dropout": "p", "omega": "ω", "xi": "ξ"}
_BEST: dict[str, Any] = {
    "marker": "*",
    "s": 320,
    "facecolor": "none",
    "edgecolor": "crimson",
    "linewidth": 1.5,
    "zorder": 3,
}


def plot_landscape(
    rows: Sequence[Mapping[str, Any]], axes: Mapping[str, bool], metric: str, title: str, path: Path
) -> None:
    """The metric over one or two parameters, with the best evaluation marked.

    `axes` maps each parameter to whether its scale is logarithmic. Only the first two are shown.
    """
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    ax = figure.subplots()
    names = list(axes)[:2]
    values = np.array([row[metric] for row in rows])
    best = int(values.argmax())
    x = np.array([row[names[0]] for row in rows])
    if len(names) == 1:
        ax.errorbar(x, values, [row[f"{metric}_se"] for row in rows], fmt="o", capsize=2)
        ax.scatter(x[best], values[best], **_BEST)
        ax.set_ylabel(f"validation {_name(metric)}")
    else:
        y = np.array([row[names[1]] for row in rows])
        # A few bad points would stretch the colours and hide the differences between good ones.
        low = np.quantile(values, 0.1) if len(values) > 4 else values.min()
        points = ax.scatter(x, y, c=values, cmap="viridis", vmin=low, s=60, edgecolor="black", linewidth=0.4)
        ax.scatter(x[best], y[best], **_BEST)
        figure.colorbar(points, label=f"validation {_name(metric)}", extend="min" if low > values.min() else "neither")
        _axis(ax, "y", names[1], axes[names[1]])
    _axis(ax, "x", names[0], axes[names[0]])
    ax.set_title(f"{title}: best {values[best]:.4f} at " + ", ".join(_value(name, rows[best][name]) for name in axes))
    figure.savefig(path, dpi=130)


def plot_history(rows: Sequence[Mapping[str, Any]], metric: str, title: str, path: Path) -> None:
    """The metric of each evaluation in order, with its standard error, and the best so far."""
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    ax = figure.subplots()
    values = np.array([row[metric] for row in rows])
    number = np.arange(1, len(rows) + 1)
    errors = [row[f"{metric}_se"] for row in rows]
    ax.errorbar(number, values, errors, fmt="o", color="0.5", capsize=2, label="evaluation ± SE")
    ax.step(number, np.maximum.accumulate(values), where="post", color="crimson", label="best so far")
    ax.set_xlabel("evaluation")
    ax.set_ylabel(f"validation {_name(metric)}")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_title(title)
    ax.legend()
    figure.savefig(path, dpi=130)


def _axis(ax: Axes, which: str, name: str, log: bool) -> None:
    ax.set(**{f"{which}label": _LABELS.get(name, name), f"{which}scale": "log" if log else "linear"})


def _value(name: str, value: float) -> str:
    return f"{_LABELS.get(name, name)} = {value:.3g}"


def _name(metric: str) -> str:
    kind, depth = metric.split("_")
    return f"{'nDCG' if kind == 'ndcg' else kind.capitalize()}@{depth}"
