"""Methods, one a file, each in two steps: `factorise` once for a penalty, `at_rank` for every rank."""

from edlae_sweeps.methods.base import FullRank, LowRank, Method, Model, Rank
from edlae_sweeps.methods.closed import Closed
from edlae_sweeps.methods.relaxed import Relaxed
from edlae_sweeps.methods.svd import Svd
from edlae_sweeps.methods.unconstrained import Unconstrained

# The registry: the name in `method=NAME` → its settings and algorithm.
METHODS: dict[str, type[Method]] = {method.name: method for method in (Closed, Unconstrained, Relaxed, Svd)}

__all__ = ["METHODS", "Closed", "FullRank", "LowRank", "Method", "Model", "Rank", "Relaxed", "Svd", "Unconstrained"]
