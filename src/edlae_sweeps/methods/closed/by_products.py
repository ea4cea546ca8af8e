"""Low ranks of the family without an n×n array (the algebra is in `operators`).

C     conjugate gradients on Â = A scaled to a unit diagonal, deflated by leading eigenpairs (`linalg.conjugate`)
d     from diag C, by probes, and exactly where their error is largest (`linalg.probes`); ridge needs none
V     block Krylov on Y → MY: one solve and one product a column of the basis
U     V − C(d∘V), the columns of the largest rank: ranks stay nested, so one preparation serves all

`dan`, whose G is weighted, stays on `Family`; the others derive from a class here, which takes the dense way if the
data have G as an array.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from edlae_sweeps.datasets import Gram, TrainingData
from edlae_sweeps.errors import ConfigError, SolverError
from edlae_sweeps.linalg import (
    Inverse,
    basis_columns,
    block_krylov,
    block_workspace,
    deflated,
    inverse_diagonal,
    solving_workspace,
)
from edlae_sweeps.methods.base import Estimate, Rank, Vector, largest_rank, linear_bytes
from edlae_sweeps.methods.closed.family import Family
from edlae_sweeps.methods.closed.operators import column, encoder, metric_product
from edlae_sweeps.methods.products import (
    DENSE_RATIO,
    check_block_solver,
    krylov_seconds,
    product_seconds,
    products_bytes,
)
from edlae_sweeps.models import FullRank, LowRank, SolvedByProducts
from edlae_sweeps.resources import Resources

# Relative residual that is enough for probes, whose own error is larger.
_PROBE_TOLERANCE = 1e-2
_LEAST_EXACT = 256
# Iterations that a time estimate assumes.
_ITERATIONS = 12


@dataclass(frozen=True)
class _Products:
    """The operators of `operators`, from X."""

    G: Gram
    C: Inverse

    def gram(self, Y: NDArray[Any]) -> NDArray[Any]:
        return self.G @ Y

    def inverse(self, Y: NDArray[Any]) -> NDArray[Any]:
        return self.C(Y)


@dataclass(frozen=True, kw_only=True, repr=False)
class ByProducts(Family):
    """A member that also fits low ranks from products with X.

    cg_tol  relative residual of conjugate gradients, above 0 and at most 0.1; only with G as products
    """

    by_products: ClassVar[bool] = True
    product_options: ClassVar[frozenset[str]] = frozenset({"cg_tol"})

    cg_tol: float = 3e-4

    @override
    def check(self) -> None:
        super().check()
        if not 0 < self.cg_tol <= 0.1:
            raise ConfigError(f"method.cg_tol={self.cg_tol}: choose a relative residual above 0, at most 0.1")

    @override
    def check_products(self, ranks: Sequence[Rank]) -> None:
        super().check_products(ranks)
        check_block_solver(self.eig_tol)

    @abstractmethod
    def budget(self, k: int) -> tuple[int, int] | None:
        """Probes and exact items for diag C, up to rank k (see `Probed`); None if d does not depend on it."""

    @override
    def solve_low(
        self, data: TrainingData, penalty: Vector, k: int, resources: Resources
    ) -> tuple[LowRank, FullRank | None, Vector]:
        if not data.by_products:
            return super().solve_low(data, penalty, k, resources)
        n = data.n_items
        products = self._products(data, penalty, k, resources)
        C = products.C
        diagonal, diag_C = None, np.full(n, np.nan)
        budget = self.budget(k)
        if budget is not None:
            # An entry of the diagonal has the squared error of its column.
            coarse = replace(C, tolerance=max(C.tolerance, min(_PROBE_TOLERANCE, C.tolerance**0.5)))
            diagonal = inverse_diagonal(coarse, penalty, data.dtype, *budget)
            diag_C = diagonal.values
        d, beta = self.choose(diag_C, penalty), np.zeros(n)
        # Errors of conjugate gradients enter the energy squared: the eigenpairs can't be better.
        tolerance = max(self.eig_tol, self.cg_tol**2)
        pairs = block_krylov(metric_product(products, penalty, d, beta), n, k, data.dtype, tolerance)
        V = np.ascontiguousarray(pairs.vectors)
        U = encoder(products, d, beta, V)
        return LowRank(U, V, record=SolvedByProducts.by(pairs, C, diagonal)), None, diag_C

    def _products(self, data: TrainingData, penalty: Vector, k: int, resources: Resources) -> _Products:
        """Products with G and with C, deflated for all solutions to come."""
        G, J = data.operator(resources.threads), data.item_counts + penalty
        smallest = float((penalty / J).min()) if J.all() else 0.0
        if smallest == 0:
            raise SolverError("conjugate gradients need Λ > 0 for every item: raise method.l2 or method.dropout")
        weights = column(penalty, data.dtype)

        def multiply(Y: NDArray[Any]) -> NDArray[Any]:
            product = G @ Y
            product += weights * Y
            return product

        n, itemsize = data.n_items, data.dtype.itemsize
        left = resources.matrix_bytes - self._bytes(data, k)
        most = max(0, left // (4 * n * itemsize))
        deflating = n / (DENSE_RATIO * max(1, data.events))
        inverse = Inverse(multiply, J, None, self.cg_tol)
        return _Products(G, deflated(inverse, data.dtype, self._columns(n, k), smallest, deflating, most))

    def _columns(self, n: int, k: int) -> int:
        """Expected number of right-hand sides: the basis, U, and diag C."""
        return basis_columns(n, k) + k + self._diagonal_columns(n, k)

    def _diagonal_columns(self, n: int, k: int) -> int:
        """Expected number of right-hand sides for diag C."""
        return min(n, sum(self.budget(k) or ()))

    def _bytes(self, data: TrainingData, k: int) -> int:
        """Peak memory without the deflation: X and Xᵀ, the Krylov method, U and V, and a solution."""
        n, itemsize = data.n_items, data.dtype.itemsize
        solving = solving_workspace(n, itemsize) + n * k * itemsize
        return products_bytes(data, k, 2) + block_workspace(n, k, itemsize) + solving

    @override
    def estimate(self, data: TrainingData, ranks: Sequence[Rank], resources: Resources) -> Estimate:
        if not data.by_products:
            return super().estimate(data, ranks, resources)
        n, k = data.n_items, largest_rank(ranks)
        beside = (k + self._diagonal_columns(n, k)) * _ITERATIONS
        seconds = krylov_seconds(data, k, _ITERATIONS + 1) + product_seconds(data, beside)
        return Estimate(0.0, seconds, self._bytes(data, k), linear_bytes(data, ranks))


@dataclass(frozen=True, kw_only=True, repr=False)
class Probed(ByProducts):
    """A member whose d depends on diag C, which probes estimate if G is given as products.

    probes       random probes of the diagonal, 2 or more; its error falls with their root
    exact_items  items that are solved exactly, those with the largest errors of d; None: as many as the largest rank,
                 256 or more, since an error matters as it compares with the smallest eigenvalue that is kept
    """

    product_options: ClassVar[frozenset[str]] = frozenset({"cg_tol", "probes", "exact_items"})

    probes: int = 256
    exact_items: int | None = None

    @override
    def check(self) -> None:
        super().check()
        if self.probes < 2:
            raise ConfigError(f"method.probes={self.probes}: choose 2 or more")
        if self.exact_items is not None and self.exact_items < 0:
            raise ConfigError(f"method.exact_items={self.exact_items}: choose 0 or more, or null")

    @override
    def budget(self, k: int) -> tuple[int, int]:
        return self.probes, max(k, _LEAST_EXACT) if self.exact_items is None else self.exact_items
