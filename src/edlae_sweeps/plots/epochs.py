"""An iterative method, epoch by epoch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from edlae_sweeps.plots.files import Picture, save


@dataclass(frozen=True)
class Epochs:
    """Values by epoch at one rank; `ndcg` (validation nDCG@100) may be empty.

    The reference method's final values stand beside them. They are None where the two can't be compared.
    """

    seconds: Sequence[float]
    objective: Sequence[float]
    ndcg: Sequence[float]
    reference_objective: float | None
    reference_ndcg: float | None


def plot_epochs(title: str, runs: Mapping[int, Epochs], reference: str, path: Path) -> Picture:
    """Objective by epoch and by seconds, and validation nDCG@100 by epoch if logged: one colour per rank."""
    validated = any(run.ndcg for run in runs.values())
    figure = Figure(figsize=(13 if validated else 10, 4.2), layout="constrained")
    axes = figure.subplots(1, 3 if validated else 2)
    figure.suptitle(title)
    for number, (rank, run) in enumerate(runs.items()):
        color = f"C{number}"
        axes[0].plot(range(1, len(run.objective) + 1), run.objective, color=color, marker=".", label=f"rank {rank}")
        axes[1].plot(run.seconds, run.objective, color=color, marker=".")
        levels = [(axes[0], run.reference_objective), (axes[1], run.reference_objective)]
        if validated:
            axes[2].plot(range(1, len(run.ndcg) + 1), run.ndcg, color=color, marker=".")
            levels.append((axes[2], run.reference_ndcg))
        for ax, level in levels:
            if level is not None:
                ax.axhline(level, color=color, linestyle=":")
    axes[0].set(xlabel="epoch", ylabel="objective (Eq. 7)")
    axes[1].set(xlabel="seconds after the inverse", xscale="log")
    if validated:
        axes[2].set(xlabel="epoch", ylabel="validation nDCG@100")
    note = f"dotted: {reference}\n(objective: only at\nthe same λ and p)"
    figure.legend(title=note, loc="outside right center")
    return save(figure, path)
