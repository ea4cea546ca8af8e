"""The low-rank step of the closed-form family: V = eig_k(M_β), U = (B + dMat β)V (Eq. 17).

M_β = (B + dMat β)ᵀ A (B + dMat β)
    = dMat(1+β)·A·dMat(1+β) − 2·dMat(d∘(1+β)) + dMat(d)·C·dMat(d)
U   = (1+β)∘V − C(d∘V)

The memory decides how:

dense    B in a second n×n array and M_β in a third, for LAPACK
blocks   C and M_β in the array of G (`in_place`); B in a second array at the end
lean     as blocks, without B
"""

from collections.abc import Callable
from logging import getLogger
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edlae_sweeps.linalg import block_workspace, dense_workspace, leading_eigenpairs, uses_blocks
from edlae_sweeps.methods.base import Vector
from edlae_sweeps.methods.closed.in_place import solve_in_place
from edlae_sweeps.methods.closed.inverse import Choose, full_rank_from, invert_penalised, row_blocks
from edlae_sweeps.models import FullRank, LowRank, Solved

_log = getLogger(__name__)

Layout = Literal["dense", "blocks", "lean"]
# β (n,) from an array with C on and above the diagonal, and d.
Guess = Callable[[NDArray[Any], Vector], Vector]


def zero_guess(_C: NDArray[Any], d: Vector) -> Vector:
    """β = 0, as published."""
    return np.zeros(len(d))


def solve_low_rank(
    gram: NDArray[Any], penalty: Vector, k: int, choose: Choose, guess: Guess, tolerance: float, room: int
) -> tuple[LowRank, FullRank | None, Vector]:
    """U, V (n, k), the full-rank solution, and diag C. Without `room` bytes for it, G included, the solution is None.

    G is modified in place and restored. Flops: n³ for the inverse, the eigenpairs, and 2n²k for U. Raises SolverError
    if A is singular to working precision.
    """
    layout = choose_layout(len(gram), k, gram.itemsize, tolerance, room)
    if layout != "dense":
        if layout == "lean":
            _log.info("memory is short: the full-rank model is not kept")
        return solve_in_place(gram, penalty, k, choose, guess, tolerance, layout == "lean")
    C = gram.copy()
    diag_C = invert_penalised(C, penalty)
    d = choose(diag_C, penalty)
    beta = guess(C, d)
    full = full_rank_from(C, diag_C, d)
    return approximate(gram, penalty, full, k, beta, tolerance), full, diag_C


def approximate(gram: NDArray[Any], penalty: Vector, full: FullRank, k: int, beta: Vector, tolerance: float) -> LowRank:
    """The best approximation of rank k of B + dMat(β) in the metric of A, given the full-rank solution."""
    pairs = leading_eigenpairs(metric(gram, penalty, full, beta), k, tolerance, overwrite=True)
    V = pairs.vectors
    U = full.B @ V
    U += beta.astype(V.dtype)[:, None] * V
    return LowRank(U, V, record=Solved.by(pairs))


def metric(gram: NDArray[Any], penalty: Vector, full: FullRank, beta: Vector) -> NDArray[Any]:
    """M_β (n, n) in one new array, from B: dMat(1+β)·A·dMat(1+β) − dMat(d)·(I + B) − 2·dMat(d∘β)."""
    B, d = full.B, full.d
    M = gram.copy()
    if beta.any():
        M *= (1 + beta).astype(M.dtype)
        M *= (1 + beta).astype(M.dtype)[:, None]
    for rows in row_blocks(len(d)):
        M[rows] -= d[rows].astype(M.dtype)[:, None] * B[rows]
    np.einsum("ii->i", M)[:] += (1 + beta) ** 2 * penalty - d * (1 + 2 * beta)
    return M


def choose_layout(n: int, k: int, itemsize: int, tolerance: float, room: int) -> Layout:
    """The quickest layout that fits into `room` bytes, G included; if none does, the leanest."""
    quick: tuple[Layout, ...] = ("blocks",) if uses_blocks(n, k, tolerance, itemsize) else ("dense", "blocks")
    choices: tuple[Layout, ...] = (*quick, "lean") if tolerance > 0 else ("dense",)
    return next((layout for layout in choices if layout_bytes(layout, n, k, itemsize) <= room), choices[-1])


def layout_bytes(layout: Layout, n: int, k: int, itemsize: int) -> int:
    """Peak memory of `solve_low_rank` in bytes, the Gram matrix included."""
    size, pair = n * n * itemsize, 2 * n * k * itemsize
    if layout == "dense":
        return 2 * size + max(size + dense_workspace(n, k, itemsize), pair)
    # V, d∘V and C(d∘V), or V, C(d∘V) and U.
    in_place = size + max(block_workspace(n, k, itemsize), pair + n * k * itemsize)
    return in_place if layout == "lean" else max(in_place, 2 * size + pair)
