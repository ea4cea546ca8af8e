"""The closed-form family: EDLAE, ridge, what lies between them, and its members on normalised data."""

from edlae_sweeps.methods.closed.closed import Closed
from edlae_sweeps.methods.closed.dan import Dan
from edlae_sweeps.methods.closed.deql import Deql
from edlae_sweeps.methods.closed.relaxed import Relaxed
from edlae_sweeps.methods.closed.unconstrained import Unconstrained
from edlae_sweeps.methods.closed.update import update

__all__ = ["Closed", "Dan", "Deql", "Relaxed", "Unconstrained", "update"]
