"""Data sets: sources, filtering and splitting, the cache of prepared data, and the Gram matrix."""

from edlae_sweeps.datasets.base import Advance, DatasetSettings, HeldOut, Interactions, Prepared, fixed_width
from edlae_sweeps.datasets.cache import read_arrays, write_arrays
from edlae_sweeps.datasets.gram import gram_matrix
from edlae_sweeps.datasets.products import Gram, GramProducts
from edlae_sweeps.datasets.sources import (
    Debian,
    InteractionsFile,
    MovieLens1M,
    MovieLens20M,
    Msd,
    Netflix,
    Synthetic,
)
from edlae_sweeps.datasets.store import load, load_gram
from edlae_sweeps.datasets.summary import summarize
from edlae_sweeps.datasets.training import TrainingData

# The registry: `dataset=NAME` → the class of its settings.
DATASETS: dict[str, type[DatasetSettings]] = {
    "debian": Debian,
    "ml-1m": MovieLens1M,
    "ml-20m": MovieLens20M,
    "netflix": Netflix,
    "msd": Msd,
    "interactions": InteractionsFile,
    "synthetic": Synthetic,
}

__all__ = [
    "DATASETS",
    "Advance",
    "DatasetSettings",
    "Debian",
    "Gram",
    "GramProducts",
    "HeldOut",
    "Interactions",
    "InteractionsFile",
    "MovieLens1M",
    "MovieLens20M",
    "Msd",
    "Netflix",
    "Prepared",
    "Synthetic",
    "TrainingData",
    "fixed_width",
    "gram_matrix",
    "load",
    "load_gram",
    "read_arrays",
    "summarize",
    "write_arrays",
]
