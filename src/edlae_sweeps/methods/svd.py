"""The linear autoencoder without regularisation: the bound of the Proposition."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edlae_sweeps.datasets import Advance, Gram, TrainingData
from edlae_sweeps.errors import ConfigError
from edlae_sweeps.imports import override
from edlae_sweeps.linalg import (
    Array,
    backend_for,
    backend_of,
    block_krylov,
    block_workspace,
    eigen_products,
    eigen_workspace,
    leading_eigenpairs,
    operator_of,
    uses_blocks,
)
from edlae_sweeps.methods.about import Estimate, Look, Rank, largest_rank, linear_bytes, low_ranks
from edlae_sweeps.methods.base import Method, Observe, State
from edlae_sweeps.methods.bound import RowWeights, rooted, row_weights, weighted_gram
from edlae_sweeps.methods.products import check_block_solver, krylov_seconds, products_bytes
from edlae_sweeps.methods.shared import EigenOptions
from edlae_sweeps.models import LowRank, Model, Solved
from edlae_sweeps.resources import Resources

# How much of the total squared error is rounding, in units of the floating-point type's.
_ROUNDING = 100


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class SvdState(State):
    """dMat(w)-weighted G (n, n), its leading eigenvalues θ (max_rank,), and their eigenvectors as a model."""

    weighted: Gram
    member: "Svd"
    values: NDArray[Any]
    model: LowRank

    def training_metrics(self, model: Model) -> Mapping[str, float]:
        """Also `bound`, the least squared error of the rank from the eigenvalues, and `ratio`, the error over it.

        With row weights both are those of the weighted error.
        """
        metrics = super().training_metrics(model)
        weighted = metrics if self.member.row_weights == "none" else model.training_metrics(self.weighted, self.penalty)
        rank = model.size // (2 * model.n_items)
        total = np.sum(self.weighted.diagonal(), dtype=np.float64)
        bound = float(total - np.sum(self.values[:rank], dtype=np.float64))
        # A rest this small is rounding, of either sign.
        if bound < _ROUNDING * np.finfo(self.data.dtype).eps * total:
            bound = 0.0
        # The bound is 0 if k is the rank of X: there is nothing to compare with.
        ratio = {"ratio": weighted["squared_error"] / bound} if bound > 0 else {}
        return {**metrics, "bound": bound, **ratio}


@dataclass(frozen=True, kw_only=True, repr=False)
class Svd(EigenOptions, Method[SvdState]):
    """The minimiser of ‖X − XUVᵀ‖² over U, V (n, k): U = V = eig_k(G), the leading right singular vectors of X.

    Its squared error, Σ_{i>k} σ_i²(X), is the least that any autoencoder with a linear output layer of k inputs can
    reach (Eqs. 5, 23). With weights w of rows the error is that of dMat(√w)X, and so are G, the singular vectors and
    the bound. There is no full rank: it would be the identity.

    eig_tol      what the eigensolver may miss, from 0 (LAPACK) to 0.01; see `EigenOptions`
    row_weights  none: all users weigh the same; inverse_activity: 1 / number of the user's items
    """

    name: ClassVar[str] = "svd"
    limit: ClassVar[None] = None
    by_products: ClassVar[bool] = True
    look: ClassVar[Look] = Look(
        "SVD, the bound", {"color": "0.45", "linestyle": (0, (1, 1)), "marker": "x"}, role="bound"
    )

    row_weights: RowWeights = "none"

    def check_rank(self, rank: Rank) -> None:
        if rank == "full":
            raise ConfigError(
                "rank=full: svd at full rank is the identity; choose a whole number, or method=unconstrained"
            )
        super().check_rank(rank)

    @override
    def _prepare(self, data: TrainingData, max_rank: int, resources: Resources, advance: Advance | None) -> SvdState:
        if max_rank == 0:
            self.check_rank("full")
        if data.by_products:
            gram = self._products(data, resources)
            pairs = block_krylov(gram.__matmul__, data.n_items, max_rank, data.dtype, self.eig_tol, narrow=True)
        else:
            matrix = self._matrix(data, resources)
            gram, pairs = operator_of(matrix), leading_eigenpairs(matrix, max_rank, self.eig_tol)
        V = backend_of(pairs.vectors).host(pairs.vectors)
        return SvdState(
            data=data,
            penalty=np.zeros(data.n_items),
            max_rank=max_rank,
            resources=resources,
            weighted=gram,
            member=self,
            values=pairs.values,
            model=LowRank(V, V, record=Solved.by(pairs)),
        )

    def _products(self, data: TrainingData, resources: Resources) -> Gram:
        """dMat(w)-weighted G as products."""
        if self.row_weights != "none":
            data = TrainingData(rooted(data.X, row_weights(self.row_weights, data.X)), data.dtype, by_products=True)
        return data.operator(resources)

    def _matrix(self, data: TrainingData, resources: Resources) -> Array:
        """The same as an array, on the device."""
        if self.row_weights == "none":
            return data.gram_on(resources.device)
        w = row_weights(self.row_weights, data.X)
        if resources.device == "cpu":
            return weighted_gram(data.X, w, data.dtype)
        return backend_for(resources.device).gram(rooted(data.X, w), data.dtype)

    @override
    def check_products(self, ranks: Sequence[Rank]) -> None:
        super().check_products(ranks)
        check_block_solver(self.eig_tol)

    @override
    def _fit(self, state: SvdState, rank: Rank, advance: Advance | None, observe: Observe | None) -> LowRank:
        (k,) = low_ranks([rank])
        return state.model.cut(k)

    @override
    def estimate(self, data: TrainingData, ranks: Sequence[Rank], resources: Resources) -> Estimate:
        """Memory: G; with row weights their G, first sparse in float64 (at worst 12 bytes an entry), then dense; and
        for the eigenpairs the copy that LAPACK overwrites.
        """
        n, k, itemsize = data.n_items, largest_rank(ranks), data.dtype.itemsize
        if data.by_products:
            copies = 2 if self.row_weights == "none" else 4
            krylov = block_workspace(n, k, itemsize, narrow=True)
            peak = products_bytes(data, copies) + krylov + n * k * itemsize
            return Estimate(0.0, krylov_seconds(data, k, 1), peak, linear_bytes(data, ranks))
        size, weighted = n * n * itemsize, self.row_weights != "none"
        copy = 0 if uses_blocks(n, k, self.eig_tol, itemsize) else size
        solving = copy + eigen_workspace(n, k, itemsize, self.eig_tol) + size * weighted
        peak = size + max(solving, n * n * (12 + 8) * weighted)
        return Estimate(eigen_products(n, k, self.eig_tol), 0.0, peak, linear_bytes(data, ranks))
