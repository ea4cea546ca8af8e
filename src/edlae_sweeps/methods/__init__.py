"""Methods, one a file, each in two steps: `factorise` once for a penalty, `at_rank` for every rank."""

from edlae_sweeps.methods.admm import Admm
from edlae_sweeps.methods.admm_published import AdmmPublished
from edlae_sweeps.methods.base import Advance, FullRank, History, LowRank, Method, Model, Rank, TrainingFit
from edlae_sweeps.methods.closed import Beta, Closed
from edlae_sweeps.methods.iteration import Iterative
from edlae_sweeps.methods.objective import training_fit
from edlae_sweeps.methods.relaxed import Relaxed
from edlae_sweeps.methods.svd import Svd
from edlae_sweeps.methods.unconstrained import Unconstrained
from edlae_sweeps.methods.zero_diag import ZeroDiag

# The registry: the name in `method=NAME` → its settings and algorithm.
METHODS: dict[str, type[Method]] = {
    method.name: method for method in (Closed, Admm, ZeroDiag, Unconstrained, Relaxed, Svd, AdmmPublished)
}

__all__ = [
    "METHODS",
    "Admm",
    "AdmmPublished",
    "Advance",
    "Beta",
    "Closed",
    "FullRank",
    "History",
    "Iterative",
    "LowRank",
    "Method",
    "Model",
    "Rank",
    "Relaxed",
    "Svd",
    "TrainingFit",
    "Unconstrained",
    "ZeroDiag",
    "training_fit",
]
