"""DEQL: emphasised denoising that also counts the kept entries (ICLR 2026, arXiv 2603.07402)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from edlae_sweeps.datasets import Advance, TrainingData
from edlae_sweeps.errors import ConfigError
from edlae_sweeps.imports import override
from edlae_sweeps.linalg import backend_of
from edlae_sweeps.methods.about import Look
from edlae_sweeps.methods.base import Vector
from edlae_sweeps.methods.closed.by_products import Probed
from edlae_sweeps.methods.closed.family import FamilyState
from edlae_sweeps.models import FullRank, LowRank, Model
from edlae_sweeps.models.objective import inner, pair_fit, row_blocks, row_sums
from edlae_sweeps.resources import Resources


class _Terms(NamedTuple):
    """Vectors (n,): diag A, D = 1 ⊘ diag C, and t, β and c of `Deql`; d = c∘D."""

    a: Vector
    D: Vector
    t: Vector
    beta: Vector
    c: Vector

    @property
    def d(self) -> Vector:
        return self.c * self.D


@dataclass(frozen=True, kw_only=True, repr=False)
class Deql(Probed):
    """Minimises the denoising loss with weights of dropped and of kept entries, over all W (n, n):

        L(W) = E Σ_uj ω_uj (x_uj − Σ_i x̃_ui W_ij)² + λ‖W‖²,   q = 1 − p
        dropped, with probability p:  x̃ = 0,    ω = (1−qρ)/p
        kept:                         x̃ = x/q,  ω = ρ

    With Λ = λI + p/q·dMat(diag G), A = G + Λ, C = A⁻¹ and D = 1 ⊘ diag C, vectors as diagonals:

        t = (1−ρ)(ρ·diag A + λ);  β = ρ(D−Λ) ⊘ (t + ρ²D);  c = 1 − ρβ;  d = c∘D
        W = B(d) + (1−ρ)·dMat β,  B(d) = I − C·dMat(d)            β is the diagonal of W
        V = eig_k(B(d)ᵀA B(d));  U = B(d)V                        nested low ranks, exact at ρ = 1

    One inverse and O(n²); the published code needs two more products of n×n×n. In its parameters, a for dropped and b
    for kept entries and L2: ρ = b²/s, λ = L2/(s·q²), s = pa² + qb², and its matrix is W/q.

    l2       λ ≥ 0
    dropout  p, above 0 and below 1
    eig_tol  what the eigensolver may miss, from 0 (LAPACK) to 0.01; see `EigenOptions`
    rho      ρ, at least 0 and below 1/q: 0 ranks as EDLAE (`closed`), 1 is ridge (`unconstrained`)
    cg_tol, probes, exact_items  see `Probed`; only with G as products

    `rank=full` is W itself.
    """

    name: ClassVar[str] = "deql"
    limit: ClassVar[str] = "deql"
    look: ClassVar[Look] = Look("DEQL", {"color": "teal", "linestyle": "-.", "marker": "<"})

    rho: float = 0.5

    @override
    def check(self) -> None:
        super().check()
        if self.dropout == 0:
            raise ConfigError("method.dropout=0: deql needs dropout; choose a probability above 0, or method=closed")
        limit = 1 / (1 - self.dropout)
        if not 0 <= self.rho < limit:
            raise ConfigError(f"method.rho={self.rho}: choose a number from 0 to below 1/(1 - dropout) = {limit:.4g}")

    @override
    def choose(self, diag_C: Vector, penalty: Vector) -> Vector:
        return self._terms(diag_C, penalty).d

    @override
    def solve_full(self, data: TrainingData, penalty: Vector, resources: Resources) -> tuple[FullRank, Vector]:
        full, diag_C = super().solve_full(data, penalty, resources)
        return self._with_diagonal(full, diag_C, penalty), diag_C

    @override
    def solve_low(
        self, data: TrainingData, penalty: Vector, k: int, resources: Resources, advance: Advance | None
    ) -> tuple[LowRank, FullRank | None, Vector]:
        low, full, diag_C = super().solve_low(data, penalty, k, resources, advance)
        return low, None if full is None else self._with_diagonal(full, diag_C, penalty), diag_C

    @override
    def training_metrics(self, state: FamilyState, model: Model) -> Mapping[str, float]:
        """Also `deql_objective`, L(W), from one product of n×n by n×k; at full rank its minimum Σ_j c_j(D_j − Λ_j)."""
        terms = self._terms(state.inverse_diagonal, state.penalty)
        factors = model.factors()
        if factors is not None:
            return self._pair_metrics(state, terms, LowRank(*factors))
        metrics = self._full_metrics(state, terms, model)
        return {**metrics, "deql_objective": float(terms.c @ (terms.D - state.penalty))}

    def _terms(self, diag_C: Vector, penalty: Vector) -> _Terms:
        p, rho = self.dropout, self.rho
        D = 1 / diag_C
        # Λ = λ + p/q·g and diag A = g + Λ.
        a = (penalty - (1 - p) * self.strength) / p
        t = (1 - rho) * (rho * a + self.strength)
        scale = t + rho**2 * D
        # 0/0 at ρ = λ = 0.
        safe = np.where(scale > 0, scale, 1)
        beta = rho * (D - penalty) / safe
        # 1 − ρβ without its cancellation.
        c = np.where(scale > 0, (t + rho**2 * penalty) / safe, 1)
        return _Terms(a, D, t, beta, c)

    def _with_diagonal(self, full: FullRank, diag_C: Vector, penalty: Vector) -> FullRank:
        """W in the array of B(d). It does not solve AW = A − dMat(d), so it has no d."""
        backend_of(full.B).set_diagonal(full.B, self._terms(diag_C, penalty).beta)
        return FullRank(full.B, np.full(len(diag_C), np.nan))

    def _full_metrics(self, state: FamilyState, terms: _Terms, model: Model) -> dict[str, float]:
        """In O(n²), from AW = A − dMat(d) + A·dMat(γ), γ = (1−ρ)β, with s_j = Σ_{i≠j} G_ij W_ij and w = diag W:

        squared error  tr G − 2⟨G, W⟩ + ⟨W, AW⟩ − Σ_ij Λ_i W_ij²,  ⟨W, AW⟩ = Σ_j (s_j + A_jj w_j)(1 + γ_j) − dᵀw
        objective      tr G − Σ_j s_j(1 + w_j − γ_j)                                                        Eq. 7
        """
        G: Any = state.data.operator(state.resources)
        W, g = model.arrays()["B"], state.data.item_counts
        w, gamma = W.diagonal().astype(np.float64), (1 - self.rho) * terms.beta
        s = sum(np.einsum("ij,ij->j", G[rows], W[rows], dtype=np.float64) for rows in row_blocks(len(W))) - g * w
        energy = (s + terms.a * w) @ (1 + gamma) - terms.d @ w
        squared_error = g.sum() - 2 * (s.sum() + g @ w) + energy - state.penalty @ row_sums(W, W)
        return {"squared_error": float(squared_error), "objective": float(g.sum() - s @ (1 + w - gamma))}

    def _pair_metrics(self, state: FamilyState, terms: _Terms, model: LowRank) -> dict[str, float]:
        """With AU, w = diag(UVᵀ), W̃ = UVᵀ − (1−ρ)·dMat(w) and B = B(d), AB = A − dMat(d), for any U and V (n, k):

        L = Σ_j c_j(D_j − Λ_j) + ⟨B, AB⟩ − 2⟨W̃, AB⟩ + ⟨W̃, AW̃⟩ + Σ_j t_j(w_j − β_j)²
        """
        U, V, penalty = model.U, model.V, state.penalty
        a, D, t, beta, c = terms
        AU = state.data.operator(state.resources) @ U
        fit = pair_fit(state.data.item_counts, penalty, U, V, AU)
        AU += penalty.astype(AU.dtype)[:, None] * U
        w, diag_AW = row_sums(U, V), row_sums(AU, V)
        removed = (1 - self.rho) * w
        full = np.sum(a - 2 * terms.d + terms.d * c)
        cross = diag_AW.sum() - a @ removed - terms.d @ (w - removed)
        energy = inner(V.T @ V, U.T @ AU) - 2 * removed @ diag_AW + removed**2 @ a
        objective = c @ (D - penalty) + full - 2 * cross + energy + t @ (w - beta) ** 2
        return {**vars(fit), "deql_objective": float(objective)}
