"""The closed-form family: one formula, a diagonal d for each member.

A    = G + Λ, C = A⁻¹                      (n, n)   Eq. 13
B(d) = I − C·dMat(d)                       (n, n)   the full-rank model
M(d) = B(d)ᵀ A B(d)                        (n, n)   what the low-rank step approximates, Eq. 17
     = A − 2·dMat(d) + dMat(d)·C·dMat(d)            O(n²), no product of n×n matrices
V = eig_k(M), U = B V                      (n, k)   scores = X U Vᵀ

d = 1 ⊘ diag C                    EDLAE (EASE without dropout)
d = diag Λ                        ridge, the unconstrained autoencoder
d = max(diag Λ, (1−ξ) ⊘ diag C)   relaxed diagonal, diag B ≤ ξ
d = c ⊘ diag C                    DEQL, EDLAE with its columns scaled by c
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edlae_sweeps.datasets import Advance, TrainingData
from edlae_sweeps.imports import override
from edlae_sweeps.linalg import eigen_products
from edlae_sweeps.methods.about import Estimate, Rank, largest_rank, linear_bytes
from edlae_sweeps.methods.base import Method, Observe, State, Vector
from edlae_sweeps.methods.closed.in_place import Guess
from edlae_sweeps.methods.closed.inverse import INVERSE_PRODUCTS, solve_with_diagonal
from edlae_sweeps.methods.closed.low_rank import choose_layout, layout_bytes, solve_low_rank, zero_guess
from edlae_sweeps.methods.shared import EigenOptions, Penalised
from edlae_sweeps.models import FullRank, LowRank, Model
from edlae_sweeps.resources import Resources


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class FamilyState(State):
    """What all ranks of one member are cut from: U, V (n, max_rank), B unless memory was short, and diag C (n,)."""

    member: "Family"
    low: LowRank | None
    kept: FullRank | None
    inverse_diagonal: Vector

    @property
    def edlae(self) -> FullRank | None:
        return self.kept if self.member.limit == "closed" else None

    def full_rank(self) -> FullRank:
        """The full-rank model: the one that was kept, or a new one at the cost of another inverse; on the device."""
        return self.kept or self.member.solve_full(self.data, self.penalty, self.resources)[0]

    @override
    def training_metrics(self, model: Model) -> Mapping[str, float]:
        return self.member.training_metrics(self, model)


@dataclass(frozen=True, kw_only=True, repr=False)
class Family(Penalised, EigenOptions, Method[FamilyState]):
    """A member of the family: `choose` is its d, and all else is shared. Λ = λI + p/(1−p)·dMat(diag G)."""

    @abstractmethod
    def choose(self, diag_C: Vector, penalty: Vector) -> Vector:
        """d (n,) from diag C and diag Λ."""

    @property
    def guess(self) -> Guess:
        """What the low-rank step takes β = diag(UVᵀ) to be: zero, as published."""
        return zero_guess

    def solve_full(self, data: TrainingData, penalty: Vector, resources: Resources) -> tuple[FullRank, Vector]:
        """The full-rank model, on the device, and diag C."""
        return solve_with_diagonal(data.gram_on(resources.device), penalty, self.choose)

    def solve_low(
        self, data: TrainingData, penalty: Vector, k: int, resources: Resources, advance: Advance | None
    ) -> tuple[LowRank, FullRank | None, Vector]:
        """U, V (n, k), the full-rank model unless memory is short, and diag C."""
        # Nothing here can be counted.
        del advance
        gram, room = data.gram_on(resources.device), resources.matrix_bytes
        return solve_low_rank(gram, penalty, k, self.choose, self.guess, self.eig_tol, room)

    def training_metrics(self, state: FamilyState, model: Model) -> Mapping[str, float]:
        """How well a model from this state fits the training data."""
        return model.training_metrics(state.data.operator(state.resources), state.penalty)

    def _prepare(self, data: TrainingData, max_rank: int, resources: Resources, advance: Advance | None) -> FamilyState:
        """One inverse, n³ flops, the leading eigenpairs, and 2n²k for U."""
        penalty = self.penalty(data.item_counts)
        low, full = None, None
        if max_rank == 0:
            full, diag_C = self.solve_full(data, penalty, resources)
        else:
            low, full, diag_C = self.solve_low(data, penalty, max_rank, resources, advance)
        return FamilyState(
            data=data,
            penalty=penalty,
            max_rank=max_rank,
            resources=resources,
            member=self,
            low=low,
            kept=full,
            inverse_diagonal=diag_C,
        )

    @override
    def _fit(self, state: FamilyState, rank: Rank, advance: Advance | None, observe: Observe | None) -> Model:
        """Columns of the largest rank: nothing is computed, except a full-rank model that memory was too short for."""
        if rank == "full" or state.low is None:
            return state.full_rank().on_host()
        return state.low.cut(rank)

    def estimate(self, data: TrainingData, ranks: Sequence[Rank], resources: Resources) -> Estimate:
        n, k, itemsize = data.n_items, largest_rank(ranks), data.dtype.itemsize
        products = INVERSE_PRODUCTS + (self.low_rank_products(n, k) if k else 0)
        peak = 0
        if "full" in ranks:
            peak = full_rank_bytes(n, itemsize)
        if k:
            layout = choose_layout(n, k, itemsize, self.eig_tol, resources.matrix_bytes)
            peak = max(peak, layout_bytes(layout, n, k, itemsize))
        return Estimate(products, 0.0, peak, linear_bytes(data, ranks))

    def low_rank_products(self, n: int, k: int) -> float:
        """Estimated time of the low-rank step in products of n×n×n."""
        return eigen_products(n, k, self.eig_tol) + k / n


def full_rank_bytes(n: int, itemsize: int) -> int:
    """Peak memory of a full-rank model: G and B (n, n)."""
    return 2 * n * n * itemsize
