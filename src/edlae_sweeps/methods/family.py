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
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edlae_sweeps.errors import SolverError
from edlae_sweeps.linalg import eigen_workspace, invert_spd, leading_eigenpairs
from edlae_sweeps.methods.base import FullRank, LowRank, Model, Rank

Diagonal = NDArray[np.float64]


@dataclass(frozen=True)
class Factors:
    """B (n, n) and d (n,) of one member, with U, V (n, max_rank): the first k columns of both are rank k."""

    B: NDArray[Any]
    d: Diagonal
    U: NDArray[Any]
    V: NDArray[Any]


def factorise_family(
    gram: NDArray[Any], penalty: Diagonal, max_rank: int, choose: Callable[[Diagonal], Diagonal]
) -> Factors:
    """One inverse and one eigendecomposition, for the member whose d is `choose(diag C)`.

    2n³ flops for the inverse, 4n³/3 for the eigenvectors, 2n²k for U; two n×n arrays beside G, of which B stays.
    """
    n = gram.shape[0]
    B, d = solve_full_rank(gram, penalty, choose)
    if max_rank == 0:
        empty = np.empty((n, 0), dtype=gram.dtype)
        return Factors(B, d, empty, empty)
    _, V = leading_eigenpairs(metric(gram, penalty, B, d), max_rank)
    return Factors(B, d, B @ V, V)


def solve_full_rank(
    gram: NDArray[Any], penalty: Diagonal, choose: Callable[[Diagonal], Diagonal]
) -> tuple[NDArray[Any], Diagonal]:
    """B(d) (n, n) and d (n,): C is inverted and then turned into B in the same array."""
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
    return B, d


def metric(gram: NDArray[Any], penalty: Diagonal, B: NDArray[Any], d: Diagonal) -> NDArray[Any]:
    """M(d) = A − dMat(d)·(I + B) (n, n), a new array."""
    M: NDArray[Any] = np.multiply(B, -d.astype(B.dtype)[:, None])
    M += gram
    np.einsum("ii->i", M)[:] += penalty - d
    return M


def cut(factors: Factors, rank: Rank) -> Model:
    """The model of one rank: columns of what is there, nothing computed."""
    if rank == "full":
        return FullRank(factors.B, factors.d)
    return LowRank(factors.U[:, :rank], factors.V[:, :rank])


def family_peak_bytes(n: int, max_rank: int, itemsize: int) -> int:
    """G and B, and then M with the eigenvectors, or U and V."""
    full = 2 * n * n * itemsize
    if max_rank == 0:
        return full
    return full + max(n * n * itemsize + eigen_workspace(n, max_rank, itemsize), 2 * n * max_rank * itemsize)
