"""The closed-form family: one formula, a diagonal d for each member.

A    = G + Λ, C = A⁻¹                      (n, n)   Eq. 13
B(d) = I − C·dMat(d)                       (n, n)   the full-rank model
M(d) = B(d)ᵀ A B(d)                        (n, n)   what the low-rank step approximates, Eq. 17
     = A − 2·dMat(d) + dMat(d)·C·dMat(d)
     = A − dMat(d)·(I + B(d))                       O(n²), no product of n×n matrices
V = eig_k(M), U = B V                      (n, k)   scores = X U Vᵀ

d = 1 ⊘ diag C                    EDLAE (EASE without dropout)
d = diag Λ                        ridge, the unconstrained autoencoder
d = max(diag Λ, (1−ξ) ⊘ diag C)   relaxed diagonal, diag B ≤ ξ

With a guess β (n,) of diag(UVᵀ), the low-rank step approximates B + dMat(β) in place of B:

M_β = (B + dMat β)ᵀ A (B + dMat β)
    = dMat(1+β)·A·dMat(1+β) − dMat(d)·(I + B) − 2·dMat(d∘β),   U = B V + β∘V
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edlae_sweeps.errors import SolverError
from edlae_sweeps.linalg import eigen_products, eigen_workspace, invert_spd, leading_eigenpairs
from edlae_sweeps.methods.base import Advance, FullRank, LowRank, Method, Model, Rank, Vector, low_ranks
from edlae_sweeps.methods.penalty import check_penalty, penalty

_BLOCK = 256


@dataclass(frozen=True)
class Problem:
    """G (n, n), diag Λ (n,) and the full-rank solution: what a method needs that finds each rank on its own."""

    gram: NDArray[Any]
    penalty: Vector
    full: FullRank


@dataclass(frozen=True)
class Factors:
    """The full-rank solution of one member, with U, V (n, max_rank): the first k columns of both are rank k."""

    full: FullRank
    U: NDArray[Any]
    V: NDArray[Any]


@dataclass
class Family(Method):
    """A member of the family: `choose` is its d; all else is the same for all. Λ = λI + p/(1−p)·dMat(diag G)."""

    l2: float
    dropout: float

    @abstractmethod
    def choose(self, diag_C: Vector, penalty: Vector) -> Vector:
        """d (n,) from diag C and diag Λ."""

    def check(self) -> None:
        check_penalty(self.l2, self.dropout)

    def penalty(self, gram: NDArray[Any]) -> Vector:
        return penalty(gram, self.l2, self.dropout)

    def factorise(self, gram: NDArray[Any], penalty: Vector, max_rank: int) -> Any:
        """One inverse and one eigendecomposition: 2n³ flops, 4n³/3, and 2n²k for U; B stays, beside G."""
        full = solve_full_rank(gram, penalty, lambda diag_C: self.choose(diag_C, penalty))
        return approximate(Problem(gram, penalty, full), max_rank, np.zeros(len(gram)))

    def at_rank(self, state: Any, rank: Rank, advance: Advance | None = None) -> Model:  # noqa: ARG002 - it is instant
        """Columns of what is there, nothing computed."""
        return state.full if rank == "full" else LowRank(state.U[:, :rank], state.V[:, :rank])

    def cost(self, n: int, ranks: Sequence[Rank]) -> float:
        low = low_ranks(ranks)
        return INVERSE_PRODUCTS + (approximation_products(n, max(low)) if low else 0)

    def peak_bytes(self, n: int, max_rank: int, itemsize: int) -> int:
        """G and B, and then M with the eigenvectors, or U and V."""
        full = 2 * n * n * itemsize
        if max_rank == 0:
            return full
        return full + max(n * n * itemsize + eigen_workspace(n, max_rank, itemsize), 2 * n * max_rank * itemsize)


# Time of the inverse in products of n×n×n, as measured at n = 5,418 in float32 on two cores.
INVERSE_PRODUCTS = 0.9


def approximation_products(n: int, k: int) -> float:
    """Estimated time of `approximate` in products of n×n×n."""
    return eigen_products(n, k) + k / n


def solve_edlae(gram: NDArray[Any], penalty: Vector) -> FullRank:
    """The full-rank EDLAE, B = I − C·dMat(1 ⊘ diag C) (Eq. 12); EASE where Λ = λI."""
    return solve_full_rank(gram, penalty, lambda diag_C: 1 / diag_C)


def solve_full_rank(gram: NDArray[Any], penalty: Vector, choose: Callable[[Vector], Vector]) -> FullRank:
    """B(d) (n, n) for d = choose(diag C): C is inverted and then turned into B in the same array.

    Raises SolverError when A is singular to working precision.
    """
    A = gram.copy()
    np.einsum("ii->i", A)[:] += penalty
    try:
        C = invert_spd(A)
    except SolverError as error:
        remedy = "raise method.l2 or method.dropout" + (", or choose dtype=float64" if gram.dtype == np.float32 else "")
        raise SolverError(f"G + Λ can't be inverted: {error}; {remedy}") from error
    diag_C = C.diagonal().astype(np.float64)
    d = choose(diag_C)
    B = C
    B *= -d.astype(C.dtype)
    # In float64, lest the diagonal of EDLAE be the rounding error of float32 instead of zero.
    np.einsum("ii->i", B)[:] = 1 - diag_C * d
    return FullRank(B, d)


def apply_inverse(full: FullRank, Y: NDArray[Any]) -> NDArray[Any]:
    """C Y (n, k) from B = I − C·dMat(d), d > 0: C itself is not kept beside B."""
    scaled: NDArray[Any] = Y / full.d.astype(Y.dtype)[:, None]
    scaled -= full.B @ scaled
    return scaled


def approximate(problem: Problem, k: int, beta: Vector) -> Factors:
    """V = eig_k(M_β), U = BV + β∘V: the best rank-k approximation of B + dMat(β) in the metric of A."""
    full = problem.full
    if k == 0:
        empty = np.empty((len(beta), 0), dtype=full.B.dtype)
        return Factors(full, empty, empty)
    _, V = leading_eigenpairs(metric(problem, beta), k)
    U = full.B @ V
    U += beta.astype(V.dtype)[:, None] * V
    return Factors(full, U, V)


def row_blocks(n: int) -> Iterator[slice]:
    """Slices that cover n rows, for temporaries of a few rows instead of n×n."""
    return (slice(start, min(start + _BLOCK, n)) for start in range(0, n, _BLOCK))


def metric(problem: Problem, beta: Vector) -> NDArray[Any]:
    """M_β = dMat(1+β)·A·dMat(1+β) − dMat(d)·(I + B) − 2·dMat(d∘β) (n, n), in one new array."""
    gram, B, d = problem.gram, problem.full.B, problem.full.d
    M = gram.copy()
    if beta.any():
        scale = (1 + beta).astype(M.dtype)
        M *= scale
        M *= scale[:, None]
    for rows in row_blocks(len(d)):
        M[rows] -= d[rows, None].astype(M.dtype) * B[rows]
    np.einsum("ii->i", M)[:] += (1 + beta) ** 2 * problem.penalty - d * (1 + 2 * beta)
    return M
