"""Pictures of a search."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from edlae_sweeps.evaluation import Metric, metric_label
from edlae_sweeps.plots.files import without_math

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
    values, label = np.array([row[metric] for row in rows]), f"validation {metric_label(metric)}"
    best = int(np.argmax([Metric.parse(metric).score(value) for value in values]))
    x = np.array([row[names[0]] for row in rows])
    if len(names) == 1:
        ax.errorbar(x, values, _errors(rows, metric), fmt="o", capsize=2)
        ax.scatter(x[best], values[best], **_BEST)
        ax.set_ylabel(label)
    else:
        y = np.array([row[names[1]] for row in rows])
        points = ax.scatter(x, y, c=values, s=60, edgecolor="black", linewidth=0.4, **_colours(values, metric))
        ax.scatter(x[best], y[best], **_BEST)
        cut = values.min() < points.norm.vmin, values.max() > points.norm.vmax
        figure.colorbar(points, label=label, extend="min" if cut[0] else "max" if cut[1] else "neither")
        _axis(ax, "y", names[1], axes[names[1]])
    _axis(ax, "x", names[0], axes[names[0]])
    ax.set_title(f"{title}: best {values[best]:.4f} at " + ", ".join(_value(name, rows[best][name]) for name in axes))
    without_math(figure)
    figure.savefig(path, dpi=130)


def plot_history(rows: Sequence[Mapping[str, Any]], metric: str, title: str, path: Path) -> None:
    """The metric of each evaluation in order, with its standard error, and the best so far."""
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    ax = figure.subplots()
    values = np.array([row[metric] for row in rows])
    number = np.arange(1, len(rows) + 1)
    errors, score = _errors(rows, metric), Metric.parse(metric).score
    label = "evaluation ± SE" if errors else "evaluation"
    ax.errorbar(number, values, errors, fmt="o", color="0.5", capsize=2, label=label)
    best = list(itertools.accumulate(values, lambda *pair: max(pair, key=score)))
    ax.step(number, best, where="post", color="crimson", label="best so far")
    ax.set_xlabel("evaluation")
    ax.set_ylabel(f"validation {metric_label(metric)}")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_title(title)
    ax.legend()
    without_math(figure)
    figure.savefig(path, dpi=130)


def _axis(ax: Axes, which: str, name: str, log: bool) -> None:
    ax.set(**{f"{which}label": _LABELS.get(name, name), f"{which}scale": "log" if log else "linear"})


def _value(name: str, value: float) -> str:
    return f"{_LABELS.get(name, name)} = {value:.3g}"


def _colours(values: NDArray[Any], metric: str) -> dict[str, Any]:
    """The colours of values, yellow for the best. A few bad ones would hide the differences between good ones."""
    low, high = np.quantile(values, (0.1, 0.9)) if len(values) > 4 else (values.min(), values.max())
    if Metric.parse(metric).score(1) < 0:
        return {"cmap": "viridis_r", "vmin": values.min(), "vmax": high}
    return {"cmap": "viridis", "vmin": low, "vmax": values.max()}


def _errors(rows: Sequence[Mapping[str, Any]], metric: str) -> list[float] | None:
    """The standard error of each evaluation; None for a metric without one."""
    return [row[f"{metric}_se"] for row in rows] if Metric.parse(metric).by_user else None
