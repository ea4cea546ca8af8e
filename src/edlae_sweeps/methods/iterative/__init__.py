"""Methods that reach each rank by epochs of their own, from the full-rank EDLAE."""

from edlae_sweeps.methods.iterative.admm import Admm
from edlae_sweeps.methods.iterative.admm_published import AdmmPublished
from edlae_sweeps.methods.iterative.zero_diag import ZeroDiag

__all__ = ["Admm", "AdmmPublished", "ZeroDiag"]
