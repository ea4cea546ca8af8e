"""Pictures from plain tables; the only importer of matplotlib."""

from edlae_sweeps.plots.tuning import plot_history, plot_landscape

__all__ = ["plot_history", "plot_landscape"]
