"""Data sets: sources, the filter and split protocol, the prepared-data cache and the Gram matrix."""

from edlae_sweeps.datasets.base import Advance, DatasetSettings, HeldOut, Interactions, Prepared
from edlae_sweeps.datasets.cache import read_arrays, write_arrays
from edlae_sweeps.datasets.debian import Debian
from edlae_sweeps.datasets.gram import gram_matrix
from edlae_sweeps.datasets.interactions import InteractionsFile
from edlae_sweeps.datasets.movielens import MovieLens1M, MovieLens20M
from edlae_sweeps.datasets.msd import Msd
from edlae_sweeps.datasets.netflix import Netflix
from edlae_sweeps.datasets.store import load, load_gram
from edlae_sweeps.datasets.summary import summarize
from edlae_sweeps.datasets.synthetic import Synthetic

# The registry: the name in `dataset=NAME` → its settings.
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
    "HeldOut",
    "Interactions",
    "InteractionsFile",
    "MovieLens1M",
    "MovieLens20M",
    "Msd",
    "Netflix",
    "Prepared",
    "Synthetic",
    "gram_matrix",
    "load",
    "load_gram",
    "read_arrays",
    "summarize",
    "write_arrays",
]
