"""The linear autoencoder without regularisation: the bound of the Proposition."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edlae_sweeps.errors import ConfigError
from edlae_sweeps.linalg import eigen_products, eigen_workspace, leading_eigenpairs, uses_blocks
from edlae_sweeps.methods.base import Advance, LowRank, Method, Rank, Solved, Vector, low_ranks
from edlae_sweeps.methods.family import check_tolerance


@dataclass
class Svd(Method):
    """The minimiser of ‖X − XUVᵀ‖² over U, V (n, k): U = V = eig_k(G), the leading right singular vectors of X.

    Its squared error, Σ_{i>k} σ_i²(X), is the least that any autoencoder with a linear output layer of k inputs can
    reach (Eqs. 5, 23). There is no full rank: that is the identity.
    """

    name: ClassVar[str] = "svd"
    limit: ClassVar[None] = None

    eig_tol: float

    def check(self) -> None:
        check_tolerance(self.eig_tol)

    def check_rank(self, rank: Rank) -> None:
        if rank == "full":
            raise ConfigError(
                "rank=full: svd at full rank is the identity; choose a whole number, or method=unconstrained"
            )

    def penalty(self, gram: NDArray[Any]) -> Vector:
        return np.zeros(len(gram))

    def factorise(self, gram: NDArray[Any], penalty: Vector, max_rank: int) -> LowRank:  # noqa: ARG002 - it has none
        pairs = leading_eigenpairs(gram, max_rank, self.eig_tol)
        return LowRank(pairs.vectors, pairs.vectors, solved=Solved.by(pairs))

    def at_rank(self, state: LowRank, rank: Rank, advance: Advance | None = None) -> LowRank:  # noqa: ARG002
        self.check_rank(rank)
        return state.cut(int(rank))

    def cost(self, n: int, ranks: Sequence[Rank]) -> float:
        return eigen_products(n, max(low_ranks(ranks)), self.eig_tol)

    def peak_bytes(self, n: int, max_rank: int, itemsize: int) -> int:
        # LAPACK has a copy of G to overwrite.
        copy = 0 if uses_blocks(n, max_rank, self.eig_tol) else n * n * itemsize
        return n * n * itemsize + copy + eigen_workspace(n, max_rank, itemsize, self.eig_tol)
