"""Pictures from plain tables; the only importer of matplotlib."""

from edlae_sweeps.plots.proposition import Trial, plot_proposition
from edlae_sweeps.plots.report import Epochs, Series, plot_curves, plot_diagonal, plot_epochs, plot_training
from edlae_sweeps.plots.tuning import plot_history, plot_landscape

__all__ = [
    "Epochs",
    "Series",
    "Trial",
    "plot_curves",
    "plot_diagonal",
    "plot_epochs",
    "plot_history",
    "plot_landscape",
    "plot_proposition",
    "plot_training",
]
