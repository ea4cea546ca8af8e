"""The linear autoencoder without regularisation: the bound of the Proposition."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edlae_sweeps.errors import ConfigError
from edlae_sweeps.linalg import eigen_products, eigen_workspace, leading_eigenpairs
from edlae_sweeps.methods.base import Advance, LowRank, Method, Rank, Vector, low_ranks


@dataclass
class Svd(Method):
    """The minimiser of ‖X − XUVᵀ‖² over U, V (n, k): U = V = eig_k(G), the leading right singular vectors of X.

    Its squared error, Σ_{i>k} σ_i²(X), is the least that any autoencoder with a linear output layer of k inputs can
    reach (Eqs. 5, 23). There is no full rank: that is the identity.
    """

    name: ClassVar[str] = "svd"
    limit: ClassVar[None] = None

    def check(self) -> None:
        """There is nothing to set."""

    def check_rank(self, rank: Rank) -> None:
        if rank == "full":
            raise ConfigError(
                "rank=full: svd at full rank is the identity; choose a whole number, or method=unconstrained"
            )

    def penalty(self, gram: NDArray[Any]) -> Vector:
        return np.zeros(len(gram))

    def factorise(self, gram: NDArray[Any], penalty: Vector, max_rank: int) -> NDArray[Any]:  # noqa: ARG002 - it has none
        return leading_eigenpairs(gram.copy(), max_rank)[1]

    def at_rank(self, state: NDArray[Any], rank: Rank, advance: Advance | None = None) -> LowRank:  # noqa: ARG002
        self.check_rank(rank)
        V = state[:, :rank]
        return LowRank(V, V)

    def cost(self, n: int, ranks: Sequence[Rank]) -> float:
        return eigen_products(n, max(low_ranks(ranks)))

    def peak_bytes(self, n: int, max_rank: int, itemsize: int) -> int:
        return 2 * n * n * itemsize + eigen_workspace(n, max_rank, itemsize)
