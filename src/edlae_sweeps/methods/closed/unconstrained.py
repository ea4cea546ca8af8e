"""Low-rank autoencoder with L2 regularisation and no constraint on its diagonal: the blue dashed line of Figure 1."""

from dataclasses import dataclass
from typing import ClassVar

from edlae_sweeps.imports import override
from edlae_sweeps.methods.about import Look
from edlae_sweeps.methods.base import Vector
from edlae_sweeps.methods.closed.by_products import ByProducts


@dataclass(frozen=True, kw_only=True, repr=False)
class Unconstrained(ByProducts):
    """The exact minimiser of ‖X − XUVᵀ‖² + ‖Λ^½UVᵀ‖² over U, V (n, k) (Jin et al. 2021, low-rank regression).

        B = A⁻¹G = I − C·dMat(Λ);  V = eig_k(BᵀAB);  U = BV

    l2       λ ≥ 0
    dropout  p, at least 0 and below 1
    eig_tol  what the eigensolver may miss, from 0 (LAPACK) to 0.01; see `EigenOptions`
    cg_tol   see `ByProducts`; only with G as products

    `rank=full` is the ridge autoencoder B.
    """

    name: ClassVar[str] = "unconstrained"
    limit: ClassVar[str] = "unconstrained"
    look: ClassVar[Look] = Look("unconstrained", {"color": "blue", "linestyle": "--", "marker": "D"}, in_paper=True)

    l2: float | None = 200.0
    dropout: float = 0.67

    @override
    def choose(self, diag_C: Vector, penalty: Vector) -> Vector:
        return penalty

    @override
    def budget(self, k: int) -> None:
        """None: d = Λ needs no diag C."""
