"""The closed-form family: EDLAE, ridge, and what lies between them."""

from edlae_sweeps.methods.closed.closed import Closed
from edlae_sweeps.methods.closed.relaxed import Relaxed
from edlae_sweeps.methods.closed.unconstrained import Unconstrained

__all__ = ["Closed", "Relaxed", "Unconstrained"]
