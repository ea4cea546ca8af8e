"""Low-rank autoencoder with a zero diagonal, by alternating exact steps (Steck 2020): the green line of Figure 1."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edlae_sweeps.errors import ConfigError
from edlae_sweeps.linalg import Array, backend_of
from edlae_sweeps.methods.about import Look, Rank
from edlae_sweeps.methods.base import Vector
from edlae_sweeps.methods.closed.inverse import apply_inverse
from edlae_sweeps.methods.iterative.edlae import EdlaeState, FromEdlae
from edlae_sweeps.methods.iterative.epochs import Iterate
from edlae_sweeps.models import FullRank
from edlae_sweeps.models.objective import pair_fit, row_sums


@dataclass(frozen=True, kw_only=True, repr=False)
class ZeroDiag(FromEdlae):
    """Minimises ‖X − XUVᵀ‖² + ‖Λ^½UVᵀ‖² over U, V (n, k) subject to diag(UVᵀ) = 0. An epoch is

        Q ← an orthonormal basis of V;  (C∘QQᵀ)g = diag(QQᵀ);  U ← Q − C(g∘Q)      the best U for V
        S ← U(UᵀAU)⁻¹;  V ← GS − η∘S,  η = diag(UVᵀ) ⊘ diag(USᵀ)                   the best V for U

    One n×n work array serves QQᵀ, C∘QQᵀ and its Cholesky factor: n³/3 flops, two products of n×n by n×k, and n²k for
    QQᵀ. An item that was never seen drops out: Q_j = 0 leaves g_j = 0, U_j = 0 leaves η_j = 0. Rank 1 has no solution
    but U = 0.

    l2         λ ≥ 0
    dropout    p, at least 0 and below 1; the published model has 0
    epochs     at most; the best iterate is kept
    tolerance  stop when the objective changes by no more than this, relative to itself
    seed       of the random start
    """

    name: ClassVar[str] = "zero_diag"
    look: ClassVar[Look] = Look("zero diagonal", {"color": "green", "linestyle": "-", "marker": "^"}, in_paper=True)

    dropout: float = 0.0

    def check_rank(self, rank: Rank) -> None:
        super().check_rank(rank)
        if rank == 1:
            raise ConfigError("rank=1: with a zero diagonal the only model of rank 1 is zero; choose 2 or more")

    def iterates(self, state: EdlaeState, k: int) -> Iterator[Iterate]:
        gram, penalty, g = state.gram, state.penalty, state.data.item_counts
        backend = backend_of(gram)
        V = backend.array(self.start(len(g), k, state.data.dtype))
        weights, work = backend.column(penalty, V), backend.square(len(g), state.data.dtype)
        while True:
            Q = V @ inverse_root(V, V)
            multiplier = backend.column(_multiplier(state.full, Q, work), V)
            U = Q - apply_inverse(state.full, multiplier * Q)
            GU = gram @ U
            root = inverse_root(U, GU + weights * U)
            S = (U @ root) @ root.T
            V = (GU @ root) @ root.T
            wanted, scale = row_sums(U, V), row_sums(U, S)
            eta = np.divide(wanted, scale, out=np.zeros_like(scale), where=scale > 0)
            V -= backend.column(eta, V) * S
            yield Iterate(U, V, pair_fit(g, penalty, U, V, GU))

    def epoch_products(self, n: int, k: int) -> float:
        return 0.3 + 6 * k / n

    def peak_bytes(self, n: int, k: int, itemsize: int) -> int:
        """G, B, the work array; n×k: Q, U, GU, S, V and the best U, V; and k×k, with its factors in float64."""
        return (3 * n * n + 7 * n * k + 2 * k * k) * itemsize + 8 * (2 * n * k + 2 * k * k)


def _multiplier(full: FullRank, Q: Array, work: Array) -> Vector:
    """The solution g (n,) of (C∘K)g = diag K, K = QQᵀ, with C = (I − B)·dMat(1 ⊘ d); `work` (n, n) is overwritten.

    C∘K is positive definite if every K_jj > 0 (Schur's product theorem); items with K_jj = 0 have g_j = 0.
    """
    backend = backend_of(Q)
    K = backend.outer(Q, work)
    diag_K = row_sums(Q, Q)
    K *= full.B
    K *= -1 / backend.column(full.d, K).T
    backend.set_diagonal(K, np.where(diag_K > 0, diag_K / full.d, 1))
    return backend.solve_spd(K, diag_K)


def inverse_root(a: Array, b: Array) -> Array:
    """R (k, k) with RRᵀ = (aᵀb)⁺, the pseudo-inverse of a positive semi-definite aᵀb, from a and b (n, k)."""
    backend = backend_of(a)
    eps = max(np.finfo(backend.dtype(a)).eps ** 2, np.finfo(np.float64).eps)
    values, vectors = backend.eigenpairs(backend.array(backend.cross(a, b)), a.shape[1], overwrite=True)
    kept = values > len(values) * eps * values[0]
    scale = np.divide(1, np.sqrt(values, where=kept, out=np.ones_like(values)), where=kept, out=np.zeros_like(values))
    return backend.array((backend.host(vectors) * scale).astype(backend.dtype(a)))
