"""Closed-form low-rank EDLAE: Algorithm 1 of Steck & Garcia (2021)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast

import numpy as np

from edlae_sweeps.datasets import Advance, TrainingData
from edlae_sweeps.errors import ConfigError
from edlae_sweeps.imports import override
from edlae_sweeps.linalg import Array, backend_of, eigen_workspace, upper_blocks
from edlae_sweeps.methods.about import Estimate, Look, Rank, largest_rank, linear_bytes, low_ranks
from edlae_sweeps.methods.base import Observe, Vector
from edlae_sweeps.methods.closed.by_products import Probed
from edlae_sweeps.methods.closed.family import FamilyState, full_rank_bytes
from edlae_sweeps.methods.closed.in_place import Guess
from edlae_sweeps.methods.closed.inverse import INVERSE_PRODUCTS, edlae_diagonal
from edlae_sweeps.methods.closed.low_rank import approximate, zero_guess
from edlae_sweeps.methods.closed.polish import Polish, polish_bytes, polish_products, polished
from edlae_sweeps.models import LowRank, Model
from edlae_sweeps.models.objective import row_sums
from edlae_sweeps.resources import Resources

Beta = Literal["zero", "column_max", "iterate"]


@dataclass(frozen=True, kw_only=True, repr=False)
class Closed(Probed):
    """The full-rank EDLAE first, then its best approximation of rank k in the metric of A = G + Λ (Eqs. 12–17).

    Approximates the minimiser of Eq. 7, ‖X − X(W − dMat(diag W))‖² + ‖Λ^½(W − dMat(diag W))‖² over W = UVᵀ:

        C = A⁻¹;  B = I − C·dMat(1 ⊘ diag C);  V = eig_k((B + dMat β)ᵀA(B + dMat β));  U = (B + dMat β)V

    l2               λ ≥ 0
    dropout          p, at least 0 and below 1; with 0 the full-rank model is EASE (Steck 2019)
    eig_tol          what the eigensolver may miss, from 0 (LAPACK) to 0.01; see `EigenOptions`
    beta             zero: β = 0, the published algorithm; column_max: β_j = max_{i≠j} B_ij; iterate: repeat the step
                     with β = diag(UVᵀ) of the last one, an eigendecomposition each, for each rank anew. Section 3.2:
                     heuristics, which lowered Eq. 7 on real data but need not
    beta_iterations  repetitions for `iterate`
    polish           what lowers Eq. 7 of the model further, for each rank anew and on the CPU: none; v_step, the best V
                     for its U, exact; lbfgs, L-BFGS over U and V, then the same step. Ranking does not gain from it
    polish_iterations  of L-BFGS, at most; an infimum need not be attained
    cg_tol, probes, exact_items  see `Probed`; only with G as products, where β must be zero

    `rank=full` is B itself, the exact full-rank EDLAE.
    """

    name: ClassVar[str] = "closed"
    limit: ClassVar[str] = "closed"
    look: ClassVar[Look] = Look(
        "closed form", {"color": "red", "linestyle": ":", "marker": "s", "linewidth": 2.2}, in_paper=True
    )

    minimises_eq7: ClassVar[bool] = True

    beta: Beta = "zero"
    beta_iterations: int = 5
    polish: Polish = "none"
    polish_iterations: int = 50

    @property
    def nested(self) -> bool:
        return self.beta != "iterate" and self.polish == "none"

    @property
    def on_device(self) -> bool:
        return self.polish == "none"

    def check(self) -> None:
        super().check()
        for key in ("beta_iterations", "polish_iterations"):
            if getattr(self, key) < 1:
                raise ConfigError(f"method.{key}={getattr(self, key)}: choose 1 or more")

    @override
    def params(self, products: bool = False) -> dict[str, Any]:
        # Cells that are not polished are older than the choice.
        options = super().params(products)
        unused = {"none": ("polish", "polish_iterations"), "v_step": ("polish_iterations",), "lbfgs": ()}[self.polish]
        return {name: value for name, value in options.items() if name not in unused}

    @override
    def check_products(self, ranks: Sequence[Rank]) -> None:
        super().check_products(ranks)
        if self.beta != "zero":
            raise ConfigError(f"method.beta={self.beta}: it needs G as a dense array; choose gram=dense or beta=zero")
        if self.polish != "none":
            raise ConfigError(
                f"method.polish={self.polish}: it needs G as a dense array; choose gram=dense or polish=none"
            )

    def choose(self, diag_C: Vector, penalty: Vector) -> Vector:
        return edlae_diagonal(diag_C, penalty)

    @property
    def guess(self) -> Guess:
        return column_max if self.beta == "column_max" else zero_guess

    def _prepare(self, data: TrainingData, max_rank: int, resources: Resources, advance: Advance | None) -> FamilyState:
        if self.beta != "iterate":
            return super()._prepare(data, max_rank, resources, advance)
        # Each rank starts from B.
        state = super()._prepare(data, 0, resources, advance)
        return FamilyState(**{**vars(state), "max_rank": max_rank})

    @override
    def _fit(self, state: FamilyState, rank: Rank, advance: Advance | None, observe: Observe | None) -> Model:
        if rank == "full":
            return super()._fit(state, rank, advance, observe)
        if self.beta == "iterate":
            model = self._iterate(state, rank, advance)
        else:
            model = cast(LowRank, super()._fit(state, rank, advance, observe))
        if self.polish == "none":
            return model
        return polished(state.data.gram, state.penalty, model, self.polish, self.polish_iterations, advance)

    def _iterate(self, state: FamilyState, rank: int, advance: Advance | None) -> LowRank:
        """The low-rank step with the diagonal of the last one, again and again."""
        full, beta = state.full_rank(), np.zeros(state.data.n_items)
        steps = self.beta_iterations + 1
        for step in range(1, steps + 1):
            model = approximate(state.gram, state.penalty, full, rank, beta, self.eig_tol)
            beta = row_sums(model.U, model.V)
            if advance is not None:
                advance(step, steps)
        return model

    def estimate(self, data: TrainingData, ranks: Sequence[Rank], resources: Resources) -> Estimate:
        n, k, itemsize = data.n_items, largest_rank(ranks), data.dtype.itemsize
        estimate = super().estimate(data, ranks, resources)
        if self.nested or k == 0:
            return estimate
        products, peak = estimate.products, estimate.bytes
        if self.beta == "iterate":
            steps = sum(self.low_rank_products(n, rank) for rank in low_ranks(ranks))
            products = INVERSE_PRODUCTS + (self.beta_iterations + 1) * steps
            # B and M beside G, and the last U, V while the next are computed.
            peak = 3 * n * n * itemsize + eigen_workspace(n, k, itemsize, self.eig_tol) + 2 * n * k * itemsize
        if self.polish != "none":
            products += sum(polish_products(self.polish, n, rank, self.polish_iterations) for rank in low_ranks(ranks))
            # G, B, the factors of the largest rank and of this one.
            peak = max(peak, (2 * n * n + 4 * n * k) * itemsize + polish_bytes(self.polish, n, k, itemsize))
        return Estimate(products, 0.0, max(peak, full_rank_bytes(n, itemsize)), linear_bytes(data, ranks))


def column_max(C: Array, d: Vector) -> Vector:
    """max_{i≠j} B_ij (n,) of each column of B = I − C·dMat(d), from the upper triangle of C; 0 if n = 1."""
    least, backend = np.full(len(d), np.inf), backend_of(C)
    for rows, columns in upper_blocks(len(d)):
        block = backend.host(backend.upper(C, rows, columns)).astype(np.float64)
        if rows == columns:
            np.fill_diagonal(block, np.inf)
        least[columns] = np.minimum(least[columns], block.min(axis=0))
        least[rows] = np.minimum(least[rows], block.min(axis=1))
    return np.where(np.isfinite(least), -least * d, 0.0)
