"""The closed-form family: one formula, a diagonal d for each member.

A    = G + Λ, C = A⁻¹                      (n, n)   Eq. 13
B(d) = I − C·dMat(d)                       (n, n)   the full-rank model
M(d) = B(d)ᵀ A B(d)                        (n, n)   what the low-rank step approximates, Eq. 17
     = A − 2·dMat(d) + dMat(d)·C·dMat(d)            O(n²), no product of n×n matrices
V = eig_k(M), U = B V                      (n, k)   scores = X U Vᵀ

d = 1 ⊘ diag C                    EDLAE (EASE without dropout)
d = diag Λ                        ridge, the unconstrained autoencoder
d = max(diag Λ, (1−ξ) ⊘ diag C)   relaxed diagonal, diag B ≤ ξ
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from edlae_sweeps import machine
from edlae_sweeps.errors import ConfigError
from edlae_sweeps.linalg import eigen_products
from edlae_sweeps.methods.base import Advance, FullRank, LowRank, Method, Model, Rank, Vector, low_ranks
from edlae_sweeps.methods.full_rank import INVERSE_PRODUCTS, solve_full_rank
from edlae_sweeps.methods.low_rank import Guess, choose_layout, layout_bytes, no_guess, solve_low_rank
from edlae_sweeps.methods.penalty import check_penalty, penalty


@dataclass(frozen=True)
class Factors:
    """What all ranks of one member are cut from: U, V (n, max_rank), and the full-rank solution where it was kept."""

    gram: NDArray[Any]
    penalty: Vector
    low: LowRank | None
    full: FullRank | None


@dataclass
class Family(Method):
    """A member of the family: `choose` is its d; all else is the same for all. Λ = λI + p/(1−p)·dMat(diag G)."""

    l2: float
    dropout: float
    eig_tol: float

    @abstractmethod
    def choose(self, diag_C: Vector, penalty: Vector) -> Vector:
        """d (n,) from diag C and diag Λ."""

    def check(self) -> None:
        check_penalty(self.l2, self.dropout)
        check_tolerance(self.eig_tol)

    def penalty(self, gram: NDArray[Any]) -> Vector:
        return penalty(gram, self.l2, self.dropout)

    def factorise(self, gram: NDArray[Any], penalty: Vector, max_rank: int) -> Any:
        """One inverse, n³ flops, the leading eigenpairs, and 2n²k for U."""
        return self.solve(gram, penalty, max_rank, no_guess)

    def solve(self, gram: NDArray[Any], penalty: Vector, max_rank: int, guess: Guess) -> Factors:
        """`factorise` with β = guess(C, d)."""

        def choose(diag_C: Vector) -> Vector:
            return self.choose(diag_C, penalty)

        if max_rank == 0:
            return Factors(gram, penalty, None, solve_full_rank(gram, penalty, choose))
        return Factors(gram, penalty, *solve_low_rank(gram, penalty, max_rank, choose, guess, self.eig_tol))

    def full_rank(self, state: Any) -> FullRank | None:
        full: FullRank | None = state.full
        return full

    def at_rank(self, state: Any, rank: Rank, advance: Advance | None = None) -> Model:  # noqa: ARG002 - it is instant
        """Columns of what is there, nothing computed; but for a full rank that there was no memory to keep."""
        if rank != "full":
            model: LowRank = state.low.cut(rank)
            return model
        return state.full or solve_full_rank(state.gram, state.penalty, lambda c: self.choose(c, state.penalty))

    def cost(self, n: int, ranks: Sequence[Rank]) -> float:
        low = low_ranks(ranks)
        return INVERSE_PRODUCTS + (low_rank_products(n, max(low), self.eig_tol) if low else 0)

    def peak_bytes(self, n: int, max_rank: int, itemsize: int) -> int:
        if max_rank == 0:
            return 2 * n * n * itemsize
        left = machine.available_memory() - n * n * itemsize
        return layout_bytes(choose_layout(n, max_rank, itemsize, self.eig_tol, left), n, max_rank, itemsize)


def low_rank_products(n: int, k: int, tolerance: float) -> float:
    """Estimated time of the low-rank step in products of n×n×n."""
    return eigen_products(n, k, tolerance) + k / n


def check_tolerance(eig_tol: float) -> None:
    """Raise ConfigError for a tolerance of the eigensolver that is none."""
    if not 0 <= eig_tol <= 0.01:
        raise ConfigError(f"method.eig_tol={eig_tol}: choose a relative gap from 0 (dense eigensolver) to 0.01")
