"""Pictures drawn from plain numbers and labels. The only importer of matplotlib; knows no method by name."""

from edlae_sweeps.plots.curves import Differences, Series, plot_curves, plot_training
from edlae_sweeps.plots.diagonal import DiagonalPair, Residuals, plot_diagonal
from edlae_sweeps.plots.epochs import Epochs, plot_epochs
from edlae_sweeps.plots.files import Box, Picture
from edlae_sweeps.plots.proposition import Trial, plot_proposition
from edlae_sweeps.plots.sandwich import plot_sandwich
from edlae_sweeps.plots.splits import SplitPanel, plot_splits
from edlae_sweeps.plots.tail import plot_tail
from edlae_sweeps.plots.tuning import plot_history, plot_landscape

__all__ = [
    "Box",
    "DiagonalPair",
    "Differences",
    "Epochs",
    "Picture",
    "Residuals",
    "Series",
    "SplitPanel",
    "Trial",
    "plot_curves",
    "plot_diagonal",
    "plot_epochs",
    "plot_history",
    "plot_landscape",
    "plot_proposition",
    "plot_sandwich",
    "plot_splits",
    "plot_tail",
    "plot_training",
]
