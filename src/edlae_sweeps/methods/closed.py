"""Closed-form low-rank EDLAE: Algorithm 1 of Steck & Garcia (2021)."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edlae_sweeps.errors import ConfigError
from edlae_sweeps.linalg import eigen_workspace, upper_blocks
from edlae_sweeps.methods.base import Advance, Model, Rank, Vector, low_ranks
from edlae_sweeps.methods.family import Family, low_rank_products
from edlae_sweeps.methods.full_rank import INVERSE_PRODUCTS, Problem, solve_edlae
from edlae_sweeps.methods.low_rank import approximate, no_guess
from edlae_sweeps.methods.objective import row_sums


class Beta(StrEnum):
    """What diag(UVᵀ) is taken to be while the low-rank step is solved (Section 3.2)."""

    zero = "zero"
    column_max = "column_max"
    iterate = "iterate"


@dataclass
class Closed(Family):
    """The full-rank EDLAE first, then its best approximation of rank k in the metric of A = G + Λ (Eqs. 12–17).

    Approximates the minimiser of Eq. 7, ‖X − X(W − dMat(diag W))‖² + ‖Λ^½(W − dMat(diag W))‖² over W = UVᵀ:

        C = A⁻¹;  B = I − C·dMat(1 ⊘ diag C);  V = eig_k((B + dMat β)ᵀA(B + dMat β));  U = (B + dMat β)V

    `beta=zero` is the published algorithm; `column_max` takes β_j = max_{i≠j} B_ij; `iterate` repeats the step
    `beta_iterations` times with β = diag(UVᵀ) of the last, an eigendecomposition each, for each rank anew. It is a
    heuristic too: Eq. 7 fell on real data, but need not. `rank=full` is B itself, the exact full-rank EDLAE; with
    `dropout` 0 it is EASE (Steck 2019).
    """

    name: ClassVar[str] = "closed"
    limit: ClassVar[str] = "closed"

    beta: Beta
    beta_iterations: int

    @property
    def nested(self) -> bool:
        return self.beta != Beta.iterate

    def check(self) -> None:
        super().check()
        if self.beta_iterations < 1:
            raise ConfigError(f"method.beta_iterations={self.beta_iterations}: choose 1 or more")

    def choose(self, diag_C: Vector, penalty: Vector) -> Vector:  # noqa: ARG002 - another member needs it
        return 1 / diag_C

    def factorise(self, gram: NDArray[Any], penalty: Vector, max_rank: int) -> Any:
        if not self.nested:
            return Problem(gram, penalty, solve_edlae(gram, penalty))
        return self.solve(gram, penalty, max_rank, column_max if self.beta == Beta.column_max else no_guess)

    def at_rank(self, state: Any, rank: Rank, advance: Advance | None = None) -> Model:
        if self.nested or rank == "full":
            return super().at_rank(state, rank)
        beta = np.zeros(len(state.penalty))
        for done in range(self.beta_iterations + 1):
            model = approximate(state, rank, beta, self.eig_tol)
            beta = row_sums(model.U, model.V)
            if advance is not None:
                advance(done + 1, self.beta_iterations + 1)
        return model

    def cost(self, n: int, ranks: Sequence[Rank]) -> float:
        if self.nested:
            return super().cost(n, ranks)
        steps = sum(low_rank_products(n, rank, self.eig_tol) for rank in low_ranks(ranks))
        return INVERSE_PRODUCTS + (self.beta_iterations + 1) * steps

    def peak_bytes(self, n: int, max_rank: int, itemsize: int) -> int:
        if self.nested or max_rank == 0:
            return super().peak_bytes(n, max_rank, itemsize)
        # G, B and M at once, and the last U, V while the next are found.
        return 3 * n * n * itemsize + eigen_workspace(n, max_rank, itemsize, self.eig_tol) + 2 * n * max_rank * itemsize


def column_max(C: NDArray[Any], d: Vector) -> Vector:
    """max_{i≠j} B_ij (n,) of each column of B = I − C·dMat(d), from the upper triangle of C; 0 where there is no other
    row."""
    least = np.full(len(d), np.inf)
    for rows, columns in upper_blocks(len(d)):
        block = C[rows, columns]
        if rows == columns:
            block = np.triu(block, 1) + np.triu(block, 1).T
            np.einsum("ii->i", block)[:] = np.inf
        least[columns] = np.minimum(least[columns], block.min(axis=0))
        least[rows] = np.minimum(least[rows], block.min(axis=1))
    return np.where(np.isfinite(least), -least * d, 0.0)
