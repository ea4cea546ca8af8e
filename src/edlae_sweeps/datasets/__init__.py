"""Data sets: sources, the filter and split protocol, the prepared-data cache and the Gram matrix."""

from edlae_sweeps.datasets.base import DatasetSettings, HeldOut, Interactions, Prepared
from edlae_sweeps.datasets.cache import read_arrays, write_arrays
from edlae_sweeps.datasets.debian import Debian
from edlae_sweeps.datasets.gram import gram_matrix
from edlae_sweeps.datasets.store import load, load_gram

# The registry: the name in `dataset=NAME` → its settings.
DATASETS: dict[str, type[DatasetSettings]] = {"debian": Debian}

__all__ = [
    "DATASETS",
    "DatasetSettings",
    "Debian",
    "HeldOut",
    "Interactions",
    "Prepared",
    "gram_matrix",
    "load",
    "load_gram",
    "read_arrays",
    "write_arrays",
]
