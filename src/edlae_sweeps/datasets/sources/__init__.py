"""The sources of interactions: one file each, with the class of its settings."""

from edlae_sweeps.datasets.sources.debian import Debian
from edlae_sweeps.datasets.sources.interactions import InteractionsFile
from edlae_sweeps.datasets.sources.movielens import MovieLens1M, MovieLens20M
from edlae_sweeps.datasets.sources.msd import Msd
from edlae_sweeps.datasets.sources.netflix import Netflix
from edlae_sweeps.datasets.sources.synthetic import Synthetic

__all__ = ["Debian", "InteractionsFile", "MovieLens1M", "MovieLens20M", "Msd", "Netflix", "Synthetic"]
