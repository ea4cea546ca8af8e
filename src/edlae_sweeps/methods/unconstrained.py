"""Low-rank autoencoder with L2 regularisation and no constraint on its diagonal: the blue dashed line of Figure 1."""

from dataclasses import dataclass
from typing import Any, ClassVar

from numpy.typing import NDArray

from edlae_sweeps.methods.base import Method, Model, Rank
from edlae_sweeps.methods.family import Diagonal, Factors, cut, factorise_family, family_peak_bytes
from edlae_sweeps.methods.penalty import check_penalty, penalty


@dataclass
class Unconstrained(Method):
    """The exact minimiser of ‖X − XUVᵀ‖² + ‖Λ^½UVᵀ‖² over U, V (n, k) (Jin et al. 2021, low-rank regression).

        B = A⁻¹G = I − C·dMat(Λ);  V = eig_k(BᵀAB);  U = BV

    `rank=full` is the ridge autoencoder B.
    """

    name: ClassVar[str] = "unconstrained"
    nested: ClassVar[bool] = True

    l2: float
    dropout: float

    def check(self) -> None:
        check_penalty(self.l2, self.dropout)

    def penalty(self, gram: NDArray[Any]) -> Diagonal:
        return penalty(gram, self.l2, self.dropout)

    def factorise(self, gram: NDArray[Any], penalty: Diagonal, max_rank: int) -> Factors:
        return factorise_family(gram, penalty, max_rank, choose=lambda _: penalty)

    def at_rank(self, state: Factors, rank: Rank) -> Model:
        return cut(state, rank)

    def peak_bytes(self, n: int, max_rank: int, itemsize: int) -> int:
        return family_peak_bytes(n, max_rank, itemsize)
