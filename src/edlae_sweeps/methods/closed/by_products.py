"""Low ranks of the family without an n×n array (the algebra is in `operators`).

C     conjugate gradients on Â = A scaled to a unit diagonal, deflated by leading eigenpairs (`linalg.conjugate`)
d     from diag C, by probes, and exactly where their error is largest (`linalg.probes`); ridge needs none
V     block Krylov on Y → MY: one solve and one product a column of the basis
U     V − C(d∘V), the columns of the largest rank: ranks stay nested, so one preparation serves all

`dan`, whose G is weighted, stays on `Family`; the others derive from a class here, which takes the dense way if the
data have G as an array.
"""

import time
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edlae_sweeps.datasets import Advance, Gram, GramProducts, TrainingData
from edlae_sweeps.errors import ConfigError, SolverError
from edlae_sweeps.imports import override
from edlae_sweeps.linalg import (
    Effort,
    Inverse,
    basis_columns,
    block_krylov,
    block_workspace,
    deflated,
    inverse_diagonal,
    solving_workspace,
)
from edlae_sweeps.methods.about import Estimate, Rank, largest_rank, linear_bytes
from edlae_sweeps.methods.base import Vector
from edlae_sweeps.methods.closed.family import Family
from edlae_sweeps.methods.closed.operators import encoder, metric_product
from edlae_sweeps.methods.products import (
    NARROW_RATIO,
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
# Columns of the blocks that a step of the probes needs.
_PROBE_COLUMNS = 320
# Iterations that a time estimate assumes: 13.5, 17.1 and 21.8 on average at n = 9,996, 99,878 and 997,935.
_ITERATIONS = 16


def _most_pairs(k: int) -> int:
    """Eigenpairs of the deflation, at most: so many take no more memory than the Krylov method for rank k."""
    return max(128, k)


class _Clock:
    """The seconds of each part."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._start = time.perf_counter()

    def lap(self, part: str) -> None:
        """End a part and start the next."""
        now = time.perf_counter()
        self.seconds[part], self._start = now - self._start, now


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
        self, data: TrainingData, penalty: Vector, k: int, resources: Resources, advance: Advance | None
    ) -> tuple[LowRank, FullRank | None, Vector]:
        if not data.by_products:
            return super().solve_low(data, penalty, k, resources, advance)
        n, clock = data.n_items, _Clock()
        G = data.products(resources.threads)
        C = self._inverse(data, G, penalty, k, resources, advance)
        clock.lap("deflation")
        diagonal, diag_C = None, np.full(n, np.nan)
        budget = self.budget(k)
        if budget is not None:
            # An entry of the diagonal has the squared error of its column.
            coarse = replace(C, tolerance=max(C.tolerance, min(_PROBE_TOLERANCE, C.tolerance**0.5)))
            diagonal = inverse_diagonal(coarse, penalty, data.dtype, *budget)
            diag_C = diagonal.values
            clock.lap("diagonal")
        d, beta, products = self.choose(diag_C, penalty), np.zeros(n), _Products(G, C)
        # Errors of conjugate gradients enter the energy squared: the eigenpairs can't be better.
        tolerance = max(self.eig_tol, self.cg_tol**2)
        product = metric_product(products, penalty, d, beta)
        pairs = block_krylov(product, n, k, data.dtype, tolerance, narrow=True)
        V = np.ascontiguousarray(pairs.vectors)
        clock.lap("eigenpairs")
        U = encoder(products, d, beta, V)
        clock.lap("encoder")
        record = SolvedByProducts.by(pairs, C, diagonal, clock.seconds, G.rate)
        return LowRank(U, V, record=record), None, diag_C

    def _inverse(
        self,
        data: TrainingData,
        G: GramProducts,
        penalty: Vector,
        k: int,
        resources: Resources,
        advance: Advance | None,
    ) -> Inverse:
        """C, deflated for all solutions to come; `advance` follows their columns."""
        n, J = data.n_items, data.item_counts + penalty
        smallest = float((penalty / J).min()) if J.all() else 0.0
        if smallest == 0:
            raise SolverError("conjugate gradients need Λ > 0 for every item: raise method.l2 or method.dropout")
        expected = self._columns(n, k)

        def follow(done: int) -> None:
            if advance is not None:
                advance(min(done, expected), expected)

        inverse = Inverse(G.__matmul__, penalty, J, self.cg_tol, threads=resources.threads, effort=Effort(follow))
        # `_bytes` includes them; where memory is short there are fewer, or none.
        left = resources.matrix_bytes - self._bytes(data, k)
        most = max(0, min(_most_pairs(k), _most_pairs(k) + left // (n * data.dtype.itemsize)))
        deflating = n / (NARROW_RATIO * max(1, data.events))
        return deflated(inverse, data.dtype, expected, smallest, deflating, most)

    def _columns(self, n: int, k: int) -> int:
        """Expected number of right-hand sides: the basis, U, and diag C."""
        return basis_columns(n, k, narrow=True) + k + self._diagonal_columns(n, k)

    def _diagonal_columns(self, n: int, k: int) -> int:
        """Expected number of right-hand sides for diag C."""
        return min(n, sum(self.budget(k) or ()))

    def _bytes(self, data: TrainingData, k: int) -> int:
        """Peak memory: X, Xᵀ, the deflation, and the most of the Krylov method, U and its parts, and the probes."""
        n, itemsize = data.n_items, data.dtype.itemsize
        krylov = block_workspace(n, k, itemsize, narrow=True)
        parts = max(krylov, max(4 * k, _PROBE_COLUMNS) * n * itemsize)
        pairs = _most_pairs(k) * n * itemsize
        return products_bytes(data) + pairs + parts + solving_workspace(n, itemsize)

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
