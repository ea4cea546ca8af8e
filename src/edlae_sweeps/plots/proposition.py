"""The Proposition in a picture: nonlinear models above their bound, and accuracy over depth."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from edlae_sweeps.plots.files import save

_MARKERS = {"relu": "^", "tanh": "o", "gelu": "D", "selu": "s"}
_NONE = "none"
# Points of one rank stand side by side, as far as this from it to either side.
_SPREAD = 1.15


@dataclass(frozen=True)
class Trial:
    """One deep autoencoder: its shape, the bound of its rank, how near it came, and its accuracy.

    `start_ratio` is its squared error over the bound before training, `trained_ratio` the best of an epoch, `ratio` the
    better of the two; `last` describes the last hidden layer; `error` is the standard error of `ndcg`, on test users.
    """

    rank: int
    hidden: tuple[int, ...]
    last: str
    activation: str
    init: str
    weights: str
    bound: float
    ratio: float
    start_ratio: float
    trained_ratio: float
    epochs: int
    seconds: float
    validation: float
    ndcg: float
    error: float

    @property
    def depth(self) -> int:
        """Nonlinear layers."""
        return len(self.hidden) + (not self.last.startswith("linear"))

    @property
    def narrow(self) -> bool:
        """Whether a layer before the last hidden one has fewer units than it."""
        return min([self.rank, *self.hidden]) < self.rank


def plot_proposition(title: str, trials: Sequence[Trial], path: Path) -> list[Path]:
    """Squared error over rank, the bound as a line and the models as points; and test nDCG@100 over depth."""
    figure = Figure(figsize=(11, 4.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    figure.suptitle(title)
    _errors(left, trials)
    _depths(right, [one for one in trials if one.weights == _NONE and not one.narrow])
    return save(figure, path)


def _errors(ax: Axes, trials: Sequence[Trial]) -> None:
    plain = [one for one in trials if one.weights == _NONE]
    bounds = dict(sorted({one.rank: one.bound for one in plain}.items()))
    ax.plot(list(bounds), list(bounds.values()), color="0.3", label="bound: linear, SVD")
    for rank, bound in bounds.items():
        # A point beside its rank has its bound below it, not the line between the ranks.
        ax.plot([rank / _SPREAD, rank * _SPREAD], [bound, bound], color="0.3", linewidth=3, alpha=0.5)
    for rank in bounds:
        here = [one for one in plain if one.rank == rank]
        for place, one in zip(np.linspace(-1, 1, len(here) + 2)[1:-1], here, strict=True):
            ax.plot(
                rank * _SPREAD**place, one.bound * one.trained_ratio, _MARKERS.get(one.activation, "v"),
                color="crimson" if one.narrow else "tab:blue", fillstyle="full" if one.init == "svd" else "none",
                markersize=5, alpha=0.8,
            )  # fmt: skip
    for name, marker in _MARKERS.items():
        if any(one.activation == name for one in plain):
            ax.plot([], [], marker, color="tab:blue", fillstyle="none", label=f"{name}, from a random start")
    ax.plot([], [], "o", color="tab:blue", label="filled: from the SVD")
    if any(one.narrow for one in plain):
        ax.plot([], [], "o", color="crimson", fillstyle="none", label="a layer narrower than k")
    least = min(one.ratio for one in trials)
    ax.set_title(
        f"smallest ratio of {len(trials)} models in {sum(one.epochs for one in trials):,} epochs: "
        f"1 {'+' if least >= 1 else '−'} {abs(least - 1):.1e}",
        fontsize="medium",
    )
    ax.set(xscale="log", xlabel="rank k", ylabel="training squared error")
    ax.xaxis.set_major_locator(FixedLocator(list(bounds)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xticklabels([f"{rank:,}" for rank in bounds])
    ax.legend(fontsize="small")
    ax.grid(alpha=0.25)


def _depths(ax: Axes, trials: Sequence[Trial]) -> None:
    """Of each depth all activations as points, and a line through the one that is best on validation users."""
    ranks = sorted({one.rank for one in trials})
    for number, rank in enumerate(ranks):
        for init, line in (("random", "-"), ("svd", ":")):
            of_rank = [one for one in trials if (one.rank, one.init) == (rank, init)]
            for one in of_rank:
                ax.plot(one.depth, one.ndcg, _MARKERS.get(one.activation, "v"), color=f"C{number}", markersize=4,
                        fillstyle="full" if init == "svd" else "none", alpha=0.8)  # fmt: skip
            depths = sorted({one.depth for one in of_rank})
            best = [
                max((one for one in of_rank if one.depth == depth), key=lambda one: one.validation) for depth in depths
            ]
            if best:
                ax.plot(depths, [one.ndcg for one in best], line, color=f"C{number}", label=f"k = {rank}, {init}")
    ax.set_xticks(sorted({one.depth for one in trials}))
    ax.margins(x=0.15)
    ax.set(xlabel="nonlinear layers", ylabel="test nDCG@100, line: best on validation")
    ax.legend(fontsize="small", loc="lower center", bbox_to_anchor=(0.5, 1), ncols=max(1, len(ranks)))
    ax.grid(alpha=0.25)
