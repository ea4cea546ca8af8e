"""Methods, one a file, each in two steps: `factorise` once for a penalty, `at_rank` for every rank."""

from edlae_sweeps.methods.admm import Admm
from edlae_sweeps.methods.admm_published import AdmmPublished
from edlae_sweeps.methods.base import (
    Advance,
    ByEpoch,
    FullRank,
    History,
    LowRank,
    Method,
    Model,
    Rank,
    Reached,
    TrainingFit,
)
from edlae_sweeps.methods.bound import RowWeights
from edlae_sweeps.methods.closed import Beta, Closed
from edlae_sweeps.methods.deep import Deep, Init
from edlae_sweeps.methods.denoising import Denoising
from edlae_sweeps.methods.extra import Device
from edlae_sweeps.methods.iteration import Iterative
from edlae_sweeps.methods.network import Activation, Network
from edlae_sweeps.methods.objective import training_fit
from edlae_sweeps.methods.relaxed import Relaxed
from edlae_sweeps.methods.svd import Svd
from edlae_sweeps.methods.unconstrained import Unconstrained
from edlae_sweeps.methods.zero_diag import ZeroDiag

# The registry: the name in `method=NAME` → its settings and algorithm.
METHODS: dict[str, type[Method]] = {
    method.name: method
    for method in (Closed, Admm, ZeroDiag, Unconstrained, Relaxed, Svd, Deep, Denoising, AdmmPublished)
}

__all__ = [
    "METHODS",
    "Activation",
    "Admm",
    "AdmmPublished",
    "Advance",
    "Beta",
    "ByEpoch",
    "Closed",
    "Deep",
    "Denoising",
    "Device",
    "FullRank",
    "History",
    "Init",
    "Iterative",
    "LowRank",
    "Method",
    "Model",
    "Network",
    "Rank",
    "Reached",
    "Relaxed",
    "RowWeights",
    "Svd",
    "TrainingFit",
    "Unconstrained",
    "ZeroDiag",
    "training_fit",
]
