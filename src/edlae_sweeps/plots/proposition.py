"""The Proposition tested: training squared error of nonlinear models against its bound, and accuracy by depth."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from edlae_sweeps.plots.files import Picture, save

_MARKERS = {"relu": "^", "tanh": "o", "gelu": "D", "selu": "s"}
_OTHER_MARKER = "v"
_UNWEIGHTED = "none"
# The points of a rank are spread sideways, up to this factor on either side.
_SPREAD = 1.15


@dataclass(frozen=True)
class Trial:
    """One nonlinear autoencoder: its shape, the bound at its rank, how close it came, and its accuracy.

    The ratios divide squared error by the bound: `start_ratio` before training, `trained_ratio` at the best epoch,
    `ratio` the smaller of the two. `last` describes the last hidden layer. `error` is the standard error of the test
    nDCG@100 `ndcg`.
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
        """Number of nonlinear layers."""
        return len(self.hidden) + (not self.last.startswith("linear"))

    @property
    def narrow(self) -> bool:
        """True if a hidden layer has fewer units than the last one (k)."""
        return min([self.rank, *self.hidden]) < self.rank


def plot_proposition(title: str, trials: Sequence[Trial], path: Path) -> Picture:
    """Squared error by rank, with the bound as a line and the models as points; test nDCG@100 by depth."""
    figure = Figure(figsize=(11, 4.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    figure.suptitle(title)
    _draw_errors(left, trials)
    _draw_depths(right, [trial for trial in trials if trial.weights == _UNWEIGHTED and not trial.narrow])
    return save(figure, path)


def _draw_errors(ax: Axes, trials: Sequence[Trial]) -> None:
    """Squared error of the models trained without row weights; the title covers all of them."""
    unweighted = [trial for trial in trials if trial.weights == _UNWEIGHTED]
    bounds = dict(sorted({trial.rank: trial.bound for trial in unweighted}.items()))
    ax.plot(list(bounds), list(bounds.values()), color="0.3", label="bound: linear, SVD")
    for rank, bound in bounds.items():
        # Points are spread sideways: a level bar shows the bound below each, where the line would slope.
        ax.plot([rank / _SPREAD, rank * _SPREAD], [bound, bound], color="0.3", linewidth=3, alpha=0.5)
        cohort = [trial for trial in unweighted if trial.rank == rank]
        for offset, trial in zip(np.linspace(-1, 1, len(cohort) + 2)[1:-1], cohort, strict=True):
            color = "crimson" if trial.narrow else "tab:blue"
            _draw_point(ax, trial, rank * _SPREAD**offset, trial.bound * trial.trained_ratio, color, 5)
    _add_legend(ax, unweighted)
    least = min(trial.ratio for trial in trials)
    epochs = sum(trial.epochs for trial in trials)
    excess = f"1 {'+' if least >= 1 else '−'} {abs(least - 1):.1e}"
    models = "1 model" if len(trials) == 1 else f"{len(trials)} models"
    ax.set_title(f"smallest ratio of {models} in {epochs:,} epochs: {excess}", fontsize="medium")
    ax.set(xscale="log", xlabel="rank k", ylabel="training squared error")
    ax.xaxis.set_major_locator(FixedLocator(list(bounds)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xticklabels([f"{rank:,}" for rank in bounds])
    ax.grid(alpha=0.25)


def _add_legend(ax: Axes, trials: Sequence[Trial]) -> None:
    """Explain markers, fills and colours."""
    for activation, marker in _MARKERS.items():
        if any(trial.activation == activation for trial in trials):
            ax.plot([], [], marker, color="tab:blue", fillstyle="none", label=f"{activation}, random start")
    ax.plot([], [], "o", color="tab:blue", label="filled: started from the SVD")
    if any(trial.narrow for trial in trials):
        ax.plot([], [], "o", color="crimson", fillstyle="none", label="a layer narrower than k")
    ax.legend(fontsize="small")


def _draw_depths(ax: Axes, trials: Sequence[Trial]) -> None:
    """Every model as a point, and a line through the model of each depth with the best validation nDCG@100."""
    ranks = sorted({trial.rank for trial in trials})
    for number, rank in enumerate(ranks):
        color = f"C{number}"
        for init, line in (("random", "-"), ("svd", ":")):
            cohort = [trial for trial in trials if (trial.rank, trial.init) == (rank, init)]
            best: dict[int, Trial] = {}
            for trial in sorted(cohort, key=lambda trial: trial.depth):
                _draw_point(ax, trial, trial.depth, trial.ndcg, color, 4)
                if trial.depth not in best or trial.validation > best[trial.depth].validation:
                    best[trial.depth] = trial
            if best:
                ndcg = [trial.ndcg for trial in best.values()]
                ax.plot(list(best), ndcg, line, color=color, label=f"k = {rank}, {init}")
    ax.set_xticks(sorted({trial.depth for trial in trials}))
    ax.margins(x=0.15)
    ax.set(xlabel="nonlinear layers", ylabel="test nDCG@100, line: best on validation")
    if ranks:
        ax.legend(fontsize="small", loc="lower center", bbox_to_anchor=(0.5, 1), ncols=max(1, len(ranks)))
    ax.grid(alpha=0.25)


def _draw_point(ax: Axes, trial: Trial, x: float, y: float, color: str, size: float) -> None:
    """The marker tells the activation, a filled marker a start from the SVD."""
    marker = _MARKERS.get(trial.activation, _OTHER_MARKER)
    fill = "full" if trial.init == "svd" else "none"
    ax.plot(x, y, marker, color=color, fillstyle=fill, markersize=size, alpha=0.8)
