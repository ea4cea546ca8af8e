"""The figures of a report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edlae_sweeps.methods import PUBLISHED_RIVAL
from edlae_sweeps.plots import (
    DiagonalPair,
    Differences,
    Residuals,
    Series,
    Trial,
    plot_curves,
    plot_diagonal,
    plot_epochs,
    plot_proposition,
    plot_training,
)
from edlae_sweeps.reporting.collect import Collected
from edlae_sweeps.reporting.curves import METRICS, series
from edlae_sweeps.reporting.epochs import epochs_by_rank
from edlae_sweeps.reporting.looks import label, look
from edlae_sweeps.reporting.pairs import Pair
from edlae_sweeps.reporting.reader import Reader


@dataclass(frozen=True)
class Figure:
    """A figure: its title, a description of what it shows, and its files, png first."""

    title: str
    alt: str
    files: list[Path]


def accuracy_figure(name: str, collected: Collected, pairs: Sequence[Pair], target: Path) -> Figure:
    """Figure 1: test metrics of the compared methods by rank, and paired differences to the reference."""
    # Unregularised models would compress the scale of the others.
    curves = {metric: series(collected, f"test/{metric}", "compared") for metric in METRICS}
    reference = look(collected.reference)
    lines = []
    for competitor in dict.fromkeys(pair.competitor for pair in pairs):
        own = [pair for pair in pairs if pair.competitor == competitor]
        ranks, values, errors = zip(*((pair.rank, pair.difference, pair.error) for pair in own), strict=True)
        lines.append(Series(look(competitor).label, look(competitor).style, ranks, values, errors))
    differences = Differences(reference.label, reference.style, lines)
    alt = f"Test metrics of each method by rank, and paired differences to the {reference.label}."
    files = plot_curves(f"{name}: accuracy by rank", curves, differences, target / "figure1")
    return Figure("Accuracy by rank", alt, files)


def training_figure(name: str, collected: Collected, target: Path) -> Figure:
    """Training squared error with its bound, and the objective of Eq. 7."""
    squared_error, objective = (
        series(collected, f"train/{metric}", "compared", "bound") for metric in ("squared_error", "objective")
    )
    alt = "Squared error and objective by rank. No autoencoder of rank k has a smaller squared error than the SVD."
    files = plot_training(f"{name}: training", squared_error, objective, target / "training")
    return Figure("Fit to the training data", alt, files)


def epoch_figures(name: str, collected: Collected, reader: Reader, target: Path) -> list[Figure]:
    """One figure for each method shown by epoch."""
    figures = []
    for method in collected.methods:
        if not look(method).by_epoch:
            continue
        if epochs := epochs_by_rank(method, collected, reader):
            words = label(method)
            path = target / ("epochs" if method == PUBLISHED_RIVAL else f"epochs_{method}")
            files = plot_epochs(f"{name}: are ten epochs of {words} enough?", epochs, label(collected.reference), path)
            alt = f"Objective of {words} by epoch and by seconds at some of the ranks."
            figures.append(Figure(f"{words} by epoch", alt, files))
    return figures


def diagonal_figures(name: str, collected: Collected, pairs: Mapping[int, DiagonalPair], target: Path) -> list[Figure]:
    """The reference's residuals, and both diagonals at the middle rank; none without residuals."""
    cells = [cell for cell in collected.of(collected.reference) if "residual/diagonal" in cell.metrics]
    if not cells:
        return []
    on, off = ([cell.metrics[f"residual/{part}"] for cell in cells] for part in ("diagonal", "off_diagonal"))
    residuals = Residuals([cell.rank for cell in cells], on, off)
    middle = list(pairs.values())[len(pairs) // 2] if pairs else None
    labels = (label(collected.reference), label(PUBLISHED_RIVAL))
    files = plot_diagonal(f"{name}: the diagonal", residuals, middle, labels, target / "diagonal")
    alt = f"Residuals on and off the diagonal, and the learned diagonals of the {labels[0]} and {labels[1]}."
    return [Figure("The diagonal", alt, files)]


def proposition_figures(name: str, trials: Sequence[Trial], target: Path) -> list[Figure]:
    """The nonlinear models against their bound; none without such models."""
    if not trials:
        return []
    files = plot_proposition(f"{name}: nonlinear autoencoders and their bound", trials, target / "proposition")
    alt = "Squared error of nonlinear autoencoders against the bound at their rank, and their accuracy by depth."
    return [Figure("The Proposition", alt, files)]
