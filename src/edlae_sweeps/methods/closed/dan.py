"""DAN: normalisation of users and items around a member of the family (SIGIR 2025, arXiv 2504.05805)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from edlae_sweeps.datasets import Advance, TrainingData
from edlae_sweeps.errors import ConfigError
from edlae_sweeps.imports import override
from edlae_sweeps.linalg import Array, backend_for, backend_of
from edlae_sweeps.methods.about import Estimate, Look, Rank, largest_rank
from edlae_sweeps.methods.base import Observe, Vector
from edlae_sweeps.methods.closed.family import Family, FamilyState
from edlae_sweeps.methods.closed.inverse import edlae_diagonal, solve_with_diagonal
from edlae_sweeps.methods.closed.low_rank import solve_low_rank, zero_guess
from edlae_sweeps.models import FullRank, LowRank, Model
from edlae_sweeps.models.objective import inner, row_blocks, row_sums
from edlae_sweeps.resources import Device, Resources

Member = Literal["edlae", "ridge", "relaxed"]
Cut = Literal["B", "W"]

# Seconds of XᵀdMat(w)X for each pair of items that a user has, measured on debian.
_SECONDS_PER_PAIR = 2e-8
# Columns that exist at once of a product of n×n×n, and rows of the sparse product in `gram_matrix`.
_ITEMS, _SPARSE_ROWS = 1024, 2048


@dataclass(frozen=True, kw_only=True, repr=False)
class Dan(Family):
    """A member of the family on data with normalised users, and its weights normalised by the popularity of the items.

    With n_u items of user u, g_i users of item i, and Λ = λI + p/(1−p)·dMat(g) from the unweighted counts:

        G_β = XᵀdMat(n_u^−β)X;  A = G_β + Λ;  C = A⁻¹;  B = I − C·dMat(d);  M = BᵀAB
        W = dMat(g^α)·B·dMat(g^−α), with zero diagonal
        cut B:  V = eig_k(M);                      factors g^α∘BV and g^−α∘V
        cut W:  V̂ = eig_k(dMat(g^−α)·M·dMat(g^−α));  factors g^α∘B(g^−α∘V̂) and V̂

    Both cuts are nested in rank. Items without users have weight 0. α matters to `fit` alone, except with cut W: one
    state serves every α.

    l2       λ ≥ 0; its scale is that of G_β, smaller than that of G by about the mean of n_u^−β; None: mean(diag G_β)
    dropout  p, at least 0 and below 1
    eig_tol  what the eigensolver may miss, from 0 (LAPACK) to 0.01; see `EigenOptions`
    member   d of edlae (1 ⊘ diag C), ridge (diag Λ) or relaxed (max(diag Λ, (1−ξ) ⊘ diag C))
    xi       ξ of relaxed, from 0 (edlae) to 1 (ridge)
    cut      what the low rank approximates in the metric of A: B or W
    alpha    α ≥ 0, normalisation of the items; larger values favour the tail
    beta     β ≥ 0, normalisation of the users; larger values weigh active users less

    `rank=full` is W itself.
    """

    name: ClassVar[str] = "dan"
    limit: ClassVar[str] = "dan"
    look: ClassVar[Look] = Look("DAN", {"color": "deeppink", "linestyle": (0, (5, 1)), "marker": ">"})

    l2: float | None = 50.0
    member: Member = "edlae"
    xi: float = 0.1
    cut: Cut = "B"
    alpha: float = 0.2
    beta: float = 0.2

    @override
    def check(self) -> None:
        super().check()
        if not 0 <= self.xi <= 1:
            raise ConfigError(f"method.xi={self.xi}: choose a bound of the diagonal from 0 (edlae) to 1 (ridge)")
        for name in ("alpha", "beta"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"method.{name}={getattr(self, name)}: choose an exponent from 0 to 1")

    @override
    def mean_diagonal(self, data: TrainingData) -> float:
        counts = np.diff(data.X.indptr)
        weights = np.repeat(_powers(counts, -self.beta, 0), counts)
        return float(weights @ np.square(data.X.data, dtype=np.float64)) / data.n_items

    @override
    def choose(self, diag_C: Vector, penalty: Vector) -> Vector:
        if self.member == "ridge":
            return penalty
        edlae = edlae_diagonal(diag_C, penalty)
        return edlae if self.member == "edlae" else np.maximum(penalty, (1 - self.xi) * edlae)

    @override
    def solve_full(self, data: TrainingData, penalty: Vector, resources: Resources) -> tuple[FullRank, Vector]:
        return solve_with_diagonal(self.weighted_gram(data, resources.device), penalty, self.choose)

    @override
    def solve_low(
        self, data: TrainingData, penalty: Vector, k: int, resources: Resources, advance: Advance | None
    ) -> tuple[LowRank, FullRank | None, Vector]:
        """U, V, B and diag C on G_β, before the factors g^α and g^−α that `fit` applies.

        Cut W needs no code of its own. With s = g^−α, the matrix sMs is M_β of the low-rank step for d∘s and 1 + β = s,
        and s∘V̂ − C(d∘s∘V̂) = B(s∘V̂) is its U.
        """
        gram, room = self.weighted_gram(data, resources.device), self._resources(data, resources).matrix_bytes
        if self.cut == "B":
            return solve_low_rank(gram, penalty, k, self.choose, zero_guess, self.eig_tol, room)
        s = _powers(data.item_counts, -self.alpha, 1)

        def choose(diag_C: Vector, penalty: Vector) -> Vector:
            return self.choose(diag_C, penalty) * s

        low, full, diag_C = solve_low_rank(gram, penalty, k, choose, lambda _C, _d: s - 1, self.eig_tol, room)
        return low, None if full is None else _columns_restored(full, s, diag_C), diag_C

    def weighted_gram(self, data: TrainingData, device: Device = "cpu") -> Array:
        """G_β (n, n) on a device: G itself if β = 0, else a new array."""
        if self.beta == 0:
            return data.gram_on(device)
        counts = np.diff(data.X.indptr)
        roots = _powers(counts, -self.beta / 2, 0).astype(data.dtype)
        weighted = data.X.copy()
        weighted.data *= np.repeat(roots, counts)
        return backend_for(device).gram(weighted, data.dtype)

    @override
    def _fit(self, state: FamilyState, rank: Rank, advance: Advance | None, observe: Observe | None) -> Model:
        """The model of a rank for this α: O(nk), or O(n²) and a second n×n array at full rank."""
        g, dtype = state.data.item_counts, state.data.dtype
        left, right = (_powers(g, power, 0).astype(dtype) for power in (self.alpha, -self.alpha))
        if rank == "full" or state.low is None:
            W = state.full_rank().on_host().B * right
            W *= left[:, None]
            np.einsum("ii->i", W)[:] = 0
            return FullRank(W, np.full(len(g), np.nan))
        prepared = state.member.params()
        for name in ("cut",) if self.cut == "B" else ("cut", "alpha"):
            if prepared.get(name) != getattr(self, name):
                raise ConfigError(
                    f"method.{name}={getattr(self, name)}: the low ranks of this state were prepared for "
                    f"{prepared.get(name)}; prepare it anew"
                )
        low = state.low.cut(rank)
        return replace(low, U=low.U * left[:, None], V=low.V * right[:, None] if self.cut == "B" else low.V)

    @override
    def training_metrics(self, state: FamilyState, model: Model) -> Mapping[str, float]:
        """From the unweighted G. At full rank it takes a product GW of n×n×n, since W solves no equation with A:

        squared error  tr G − 2⟨G, W⟩ + ⟨W, GW⟩
        objective      squared error + Σ_ij Λ_i W_ij²       Eq. 7, as diag W = 0
        """
        if model.factors() is not None:
            return super().training_metrics(state, model)
        G: Any = state.data.operator(state.resources)
        W, squared_error = model.arrays()["B"], float(state.data.item_counts.sum())
        for items in row_blocks(len(W), _ITEMS):
            part = np.ascontiguousarray(W[:, items])
            GW = G @ part
            # ⟨W, GW⟩ − 2⟨G, W⟩, the trace of GW.
            squared_error += inner(GW, part) - 2 * float(GW[items].diagonal().sum(dtype=np.float64))
        return {"squared_error": squared_error, "objective": squared_error + float(state.penalty @ row_sums(W, W))}

    @override
    def estimate(self, data: TrainingData, ranks: Sequence[Rank], resources: Resources) -> Estimate:
        """As of the family, with G beside G_β; at full rank B and W beside G, and U and V.

        While G_β is made, there are two copies of X, and some of its rows, dense and, at worst full, sparse.
        """
        estimate = super().estimate(data, ranks, self._resources(data, resources))
        n, itemsize = data.n_items, data.dtype.itemsize
        peaks, seconds = [estimate.bytes + self._beside(data)], 0.0
        if "full" in ranks:
            peaks.append((3 * n * n + 2 * n * largest_rank(ranks)) * itemsize)
        if self.beta:
            rows = min(n, _SPARSE_ROWS)
            copies = 2 * data.events * (itemsize + 4)
            peaks.append(2 * n * n * itemsize + rows * n * (2 * itemsize + 4) + copies)
            seconds = float(_SECONDS_PER_PAIR * np.sum(np.diff(data.X.indptr).astype(np.float64) ** 2))
        return replace(estimate, seconds=seconds, bytes=max(peaks))

    def _beside(self, data: TrainingData) -> int:
        """Bytes of G where G_β is an array of its own."""
        return data.n_items**2 * data.dtype.itemsize if self.beta else 0

    def _resources(self, data: TrainingData, resources: Resources) -> Resources:
        """What is left for the family beside G."""
        beside, device = self._beside(data), resources.device_memory
        left = None if device is None else device - beside
        return replace(resources, memory=resources.memory - beside, device_memory=left)


def _powers(values: NDArray[Any], exponent: float, empty: float) -> Vector:
    """values^exponent (n,), `empty` where a value is 0."""
    positive = values > 0
    powers: Vector = np.where(positive, np.power(values, exponent, where=positive, out=np.ones(len(values))), empty)
    return powers


def _columns_restored(full: FullRank, s: Vector, diag_C: Vector) -> FullRank:
    """B(d) in the array of B(d∘s)."""
    d, B, backend = full.d / s, full.B, backend_of(full.B)
    B /= backend.column(s, B).T
    backend.set_diagonal(B, 1 - diag_C * d)
    return FullRank(B, d)
