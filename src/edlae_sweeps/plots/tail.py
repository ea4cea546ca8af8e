"""Accuracy for all items against accuracy for rare ones, along the ranks of each method."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from edlae_sweeps.plots.curves import Series, add_legend, draw
from edlae_sweeps.plots.files import Picture, save

# What a label takes of the width and of the height. Lines that end within that of each other share one.
_ROOM = (0.14, 0.05)


def plot_tail(title: str, accuracy: Sequence[Series], tail: Sequence[Series], path: Path) -> Picture:
    """Tail nDCG@100 over nDCG@100, with the first and the last rank of each line named (left), and by rank (right).

    `accuracy` and `tail` have the same lines and ranks.
    """
    figure = Figure(figsize=(11, 4.8), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    figure.suptitle(title)
    for x, y in zip(accuracy, tail, strict=True):
        left.plot(x.values, y.values, label=y.label, **{"marker": "o", "markersize": 4.5, **y.style})
    _name_ends(left, accuracy, tail)
    left.set(xlabel="test nDCG@100", ylabel="test tail nDCG@100")
    left.margins(x=_ROOM[0], y=0.08)
    left.grid(alpha=0.25)
    draw(right, tail)
    # Alone on a narrow screen, a panel needs its numbers.
    right.tick_params(labelleft=True)
    right.set_ylabel("test tail nDCG@100, ± 1 SE")
    add_legend(right)
    return save(figure, path)


def _name_ends(ax: Axes, accuracy: Sequence[Series], tail: Sequence[Series]) -> None:
    """Write the rank beside the first and the last point of each line, once where lines end together."""
    scales = ax.dataLim
    width, height = scales.width * _ROOM[0], scales.height * _ROOM[1]
    named: list[tuple[str, float, float]] = []
    for x, y in zip(accuracy, tail, strict=True):
        for end in dict.fromkeys((0, len(y.ranks) - 1)):
            text = "full" if y.ranks[end] is None else f"k = {y.ranks[end]:,}"
            left, low = x.values[end], y.values[end]
            if any(name == text and abs(left - u) <= width and abs(low - v) <= height for name, u, v in named):
                continue
            named.append((text, left, low))
            ax.annotate(text, (left, low), (7, -3), textcoords="offset points", fontsize="small", color="0.2", va="top")
