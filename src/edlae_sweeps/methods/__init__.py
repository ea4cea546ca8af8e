"""Methods, one a file, each in two steps: `prepare` once for a penalty, `fit` for every rank."""

from typing import Any

from edlae_sweeps.methods.about import Estimate, Look, Rank, largest_rank, low_ranks
from edlae_sweeps.methods.base import Method, Observe, State
from edlae_sweeps.methods.closed import Closed, Dan, Deql, Relaxed, Unconstrained, update
from edlae_sweeps.methods.ials import Ials
from edlae_sweeps.methods.iterative import Admm, AdmmPublished, ZeroDiag
from edlae_sweeps.methods.neural import Deep, Denoising, Elsa
from edlae_sweeps.methods.svd import Svd

# The registry: the name in `method=NAME` → its options and algorithm, in the order of a report.
METHODS: dict[str, type[Method[Any]]] = {
    method.name: method
    for method in (
        Admm,
        Closed,
        ZeroDiag,
        Unconstrained,
        Relaxed,
        Deql,
        Dan,
        Ials,
        Elsa,
        Denoising,
        Svd,
        Deep,
        AdmmPublished,
    )
}
# The method that a report compares the others with, and the published one whose place it takes.
REFERENCE = Closed.name
PUBLISHED_RIVAL = Admm.name

__all__ = [
    "METHODS",
    "PUBLISHED_RIVAL",
    "REFERENCE",
    "Admm",
    "AdmmPublished",
    "Closed",
    "Dan",
    "Deep",
    "Denoising",
    "Deql",
    "Elsa",
    "Estimate",
    "Ials",
    "Look",
    "Method",
    "Observe",
    "Rank",
    "Relaxed",
    "State",
    "Svd",
    "Unconstrained",
    "ZeroDiag",
    "largest_rank",
    "low_ranks",
    "update",
]
