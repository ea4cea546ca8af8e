"""The figures of a report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edlae_sweeps.methods import PUBLISHED_RIVAL
from edlae_sweeps.plots import (
    DiagonalPair,
    Differences,
    Picture,
    Residuals,
    Series,
    Trial,
    plot_curves,
    plot_diagonal,
    plot_epochs,
    plot_proposition,
    plot_splits,
    plot_training,
)
from edlae_sweeps.reporting.collect import Collected
from edlae_sweeps.reporting.curves import series
from edlae_sweeps.reporting.epochs import epochs_by_rank
from edlae_sweeps.reporting.looks import label, look
from edlae_sweeps.reporting.pairs import Pair
from edlae_sweeps.reporting.reader import Reader
from edlae_sweeps.reporting.splits import Row, split_panels
from edlae_sweeps.settings import METRICS


@dataclass(frozen=True)
class Figure:
    """A figure: its title, a description of what it shows, and its picture."""

    title: str
    alt: str
    picture: Picture


def accuracy_figures(name: str, collected: Collected, pairs: Sequence[Pair], target: Path) -> list[Figure]:
    """Figure 1: the methods of the paper; and a second one like it of the reference and all others, if there are."""
    paper = [method for method in collected.methods if look(method).in_paper]
    others = [method for method in collected.methods if not look(method).in_paper]
    words = label(collected.reference)
    figures = []
    if _curves(collected, paper):
        alt = f"Test metrics of the methods of the paper by rank, and paired differences to the {words}."
        picture = _plot(f"{name}: accuracy by rank", collected, paper, pairs, target / "figure1")
        figures.append(Figure("Accuracy by rank", alt, picture))
    if _curves(collected, others):
        alt = f"Test metrics of the {words} and of methods beyond the paper by rank, and paired differences to it."
        methods = [collected.reference, *others]
        picture = _plot(f"{name}: rivals by rank", collected, methods, pairs, target / "rivals")
        figures.append(Figure("Rivals by rank", alt, picture))
    return figures


def _curves(collected: Collected, methods: Sequence[str]) -> dict[str, list[Series]]:
    """The lines of each metric; empty without a line. Unregularised models would compress the scale of the others."""
    curves = {metric: series(collected, f"test/{metric}", "compared", methods=methods) for metric in METRICS}
    return curves if any(curves.values()) else {}


def _plot(title: str, collected: Collected, methods: Sequence[str], pairs: Sequence[Pair], path: Path) -> Picture:
    """The test metrics of `methods` by rank, and their differences."""
    reference = look(collected.reference)
    lines = []
    for competitor in methods:
        if own := [pair for pair in pairs if pair.competitor == competitor]:
            ranks, values, errors = zip(*((pair.rank, pair.difference, pair.error) for pair in own), strict=True)
            lines.append(Series(look(competitor).label, look(competitor).style, ranks, values, errors))
    differences = Differences(reference.label, reference.style, lines)
    return plot_curves(title, _curves(collected, methods), differences, path)


def training_figure(name: str, collected: Collected, target: Path) -> Figure:
    """Training squared error with its bound, and the objective of Eq. 7."""
    squared_error, objective = (
        series(collected, f"train/{metric}", "compared", "bound") for metric in ("squared_error", "objective")
    )
    alt = "Squared error and objective by rank. No autoencoder of rank k has a smaller squared error than the SVD."
    picture = plot_training(f"{name}: training", squared_error, objective, target / "training")
    return Figure("Fit to the training data", alt, picture)


def epoch_figures(name: str, collected: Collected, reader: Reader, target: Path) -> list[Figure]:
    """One figure for each method shown by epoch."""
    figures = []
    for method in collected.methods:
        if not look(method).by_epoch:
            continue
        if epochs := epochs_by_rank(method, collected, reader):
            words = label(method)
            path = target / ("epochs" if method == PUBLISHED_RIVAL else f"epochs_{method}")
            picture = plot_epochs(
                f"{name}: are ten epochs of {words} enough?", epochs, label(collected.reference), path
            )
            alt = f"Objective of {words} by epoch and by seconds at some of the ranks."
            figures.append(Figure(f"{words} by epoch", alt, picture))
    return figures


def diagonal_figures(name: str, collected: Collected, pairs: Mapping[int, DiagonalPair], target: Path) -> list[Figure]:
    """The reference's residuals, and both diagonals at the middle rank; none without residuals."""
    names = ("residual/diagonal", "residual/off_diagonal")
    cells = [cell for cell in collected.of(collected.reference) if cell.holds(names, ())]
    if not cells:
        return []
    on, off = ([cell.metrics[name] for cell in cells] for name in names)
    residuals = Residuals([cell.rank for cell in cells], on, off)
    middle = list(pairs.values())[len(pairs) // 2] if pairs else None
    labels = (label(collected.reference), label(PUBLISHED_RIVAL))
    picture = plot_diagonal(f"{name}: the diagonal", residuals, middle, labels, target / "diagonal")
    alt = f"Residuals on and off the diagonal, and the learned diagonals of the {labels[0]} and {labels[1]}."
    return [Figure("The diagonal", alt, picture)]


def proposition_figures(name: str, trials: Sequence[Trial], target: Path) -> list[Figure]:
    """The nonlinear models against their bound; none without such models."""
    if not trials:
        return []
    picture = plot_proposition(f"{name}: nonlinear autoencoders and their bound", trials, target / "proposition")
    alt = "Squared error of nonlinear autoencoders against the bound at their rank, and their accuracy by depth."
    return [Figure("The Proposition", alt, picture)]


def split_figures(name: str, collected: Collected, rows: Sequence[Row], target: Path) -> list[Figure]:
    """The paired differences over splits; none without repeats."""
    panels = split_panels(rows)
    if not panels:
        return []
    reference = label(collected.reference)
    picture = plot_splits(f"{name}: differences over splits", panels, reference, target / "splits")
    alt = (
        f"Test nDCG@100 of the {reference} minus that of each other method by rank: a point for each split, and their "
        f"mean with its 95 % interval; above 0 the {reference} is better. Each panel has a scale of its own."
    )
    return [Figure("Over splits", alt, picture)]
