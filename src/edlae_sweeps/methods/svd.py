"""The linear autoencoder without regularisation: the bound of the Proposition."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from edlae_sweeps.errors import ConfigError
from edlae_sweeps.linalg import eigen_products, eigen_workspace, leading_eigenpairs, uses_blocks
from edlae_sweeps.methods.base import Advance, LowRank, Method, Rank, Reached, Solved, Vector, low_ranks
from edlae_sweeps.methods.bound import RowWeights, row_weights, weighted_gram
from edlae_sweeps.methods.family import check_tolerance
from edlae_sweeps.methods.objective import pair_fit


@dataclass(frozen=True)
class Directions:
    """dMat(w)-weighted G (n, n), its leading eigenvalues θ (max_rank,), and their eigenvectors as a model."""

    gram: NDArray[Any]
    values: NDArray[Any]
    model: LowRank


@dataclass
class Svd(Method):
    """The minimiser of ‖X − XUVᵀ‖² over U, V (n, k): U = V = eig_k(G), the leading right singular vectors of X.

    Its squared error, Σ_{i>k} σ_i²(X), is the least that any autoencoder with a linear output layer of k inputs can
    reach (Eqs. 5, 23). There is no full rank: that is the identity. With weights w of rows the error is that of
    dMat(√w)X, and so are G, the singular vectors and the bound.
    """

    name: ClassVar[str] = "svd"
    limit: ClassVar[None] = None

    eig_tol: float
    row_weights: RowWeights

    def check(self) -> None:
        check_tolerance(self.eig_tol)

    def check_rank(self, rank: Rank) -> None:
        if rank == "full":
            raise ConfigError(
                "rank=full: svd at full rank is the identity; choose a whole number, or method=unconstrained"
            )

    def penalty(self, gram: NDArray[Any]) -> Vector:
        return np.zeros(len(gram))

    def learn(self, X: csr_array, gram: NDArray[Any], penalty: Vector, max_rank: int) -> Directions:  # noqa: ARG002
        if self.row_weights == RowWeights.none:
            return self._directions(gram, max_rank)
        return self._directions(weighted_gram(X, row_weights(self.row_weights, X), gram.dtype), max_rank)

    def factorise(self, gram: NDArray[Any], penalty: Vector, max_rank: int) -> Directions:  # noqa: ARG002 - it has none
        if self.row_weights != RowWeights.none:
            raise ConfigError(f"method.row_weights={self.row_weights}: G does not tell users apart; call learn with X")
        return self._directions(gram, max_rank)

    def _directions(self, gram: NDArray[Any], max_rank: int) -> Directions:
        pairs = leading_eigenpairs(gram, max_rank, self.eig_tol)
        return Directions(gram, pairs.values, LowRank(pairs.vectors, pairs.vectors, solved=Solved.by(pairs)))

    def at_rank(self, state: Directions, rank: Rank, advance: Advance | None = None) -> LowRank:  # noqa: ARG002
        self.check_rank(rank)
        return state.model.cut(low_ranks([rank])[0])

    def reached(self, state: Directions, model: LowRank) -> Reached:
        """Of the weighted error, each by its own way: from G and V, and from the eigenvalues."""
        g = state.gram.diagonal()
        fit = pair_fit(g, np.zeros(len(g)), model.U, model.V, state.gram @ model.U)
        kept = state.values[: model.V.shape[1]]
        left = float(np.sum(g, dtype=np.float64) - np.sum(kept, dtype=np.float64))
        return Reached(fit.squared_error, max(0.0, left))

    def cost(self, n: int, ranks: Sequence[Rank]) -> float:
        return eigen_products(n, max(low_ranks(ranks)), self.eig_tol)

    def peak_bytes(self, n: int, max_rank: int, itemsize: int) -> int:
        """G; where rows have weights their G, which is sparse in float64 (at worst 12 bytes an entry), then dense; and
        for the eigenpairs the copy that LAPACK overwrites.
        """
        size, weighted = n * n * itemsize, self.row_weights != RowWeights.none
        copy = 0 if uses_blocks(n, max_rank, self.eig_tol, itemsize) else size
        solving = copy + eigen_workspace(n, max_rank, itemsize, self.eig_tol) + size * weighted
        return size + max(solving, n * n * (12 + 8) * weighted)
