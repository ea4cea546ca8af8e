"""Low-rank autoencoder with L2 regularisation and no constraint on its diagonal: the blue dashed line of Figure 1."""

from dataclasses import dataclass
from typing import ClassVar

from edlae_sweeps.methods.base import Vector
from edlae_sweeps.methods.family import Family


@dataclass
class Unconstrained(Family):
    """The exact minimiser of ‖X − XUVᵀ‖² + ‖Λ^½UVᵀ‖² over U, V (n, k) (Jin et al. 2021, low-rank regression).

        B = A⁻¹G = I − C·dMat(Λ);  V = eig_k(BᵀAB);  U = BV

    `rank=full` is the ridge autoencoder B.
    """

    name: ClassVar[str] = "unconstrained"
    limit: ClassVar[str] = "unconstrained"

    def choose(self, diag_C: Vector, penalty: Vector) -> Vector:  # noqa: ARG002 - other members need it
        return penalty
