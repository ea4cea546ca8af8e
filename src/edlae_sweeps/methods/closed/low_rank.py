"""The low-rank step of the closed-form family: V = eig_k(M_β), U = (B + dMat β)V (Eq. 17).

M_β = (B + dMat β)ᵀ A (B + dMat β)
    = dMat(1+β)·A·dMat(1+β) − 2·dMat(d∘(1+β)) + dMat(d)·C·dMat(d)
U   = (1+β)∘V − C(d∘V)

The memory decides how:

dense    M_β, then B in a second n×n array beside that of G, and what a dense eigensolver needs
blocks   the same with the block Krylov method
lean     one array, without B
"""

from logging import getLogger

import numpy as np

from edlae_sweeps.linalg import Array, backend_of, block_workspace, dense_workspace, leading_eigenpairs, uses_blocks
from edlae_sweeps.methods.base import Vector
from edlae_sweeps.methods.closed.in_place import Guess, Layout, solve_in_place
from edlae_sweeps.methods.closed.inverse import Choose
from edlae_sweeps.models import FullRank, LowRank, Solved
from edlae_sweeps.models.objective import row_blocks

_log = getLogger(__name__)


def zero_guess(_C: Array, d: Vector) -> Vector:
    """β = 0, as published."""
    return np.zeros(len(d))


def solve_low_rank(
    gram: Array, penalty: Vector, k: int, choose: Choose, guess: Guess, tolerance: float, room: int
) -> tuple[LowRank, FullRank | None, Vector]:
    """U, V (n, k), the full-rank solution, and diag C. Without `room` bytes for it, G included, the solution is None.

    G is modified in place and restored. Flops: n³ for the inverse, the eigenpairs, and 2n²k for U. Raises SolverError
    if A is singular to working precision.
    """
    layout = choose_layout(len(gram), k, gram.itemsize, tolerance, room)
    if layout == "lean":
        _log.info("memory is short: the full-rank model is not kept")
    return solve_in_place(gram, penalty, k, choose, guess, tolerance, layout)


def approximate(gram: Array, penalty: Vector, full: FullRank, k: int, beta: Vector, tolerance: float) -> LowRank:
    """The best approximation of rank k of B + dMat(β) in the metric of A, given the full-rank solution."""
    pairs = leading_eigenpairs(metric(gram, penalty, full, beta), k, tolerance, overwrite=True)
    V, backend = pairs.vectors, backend_of(gram)
    U = full.B @ V
    U += backend.column(beta, V) * V
    return LowRank.on_host(U, V, Solved.by(pairs))


def metric(gram: Array, penalty: Vector, full: FullRank, beta: Vector) -> Array:
    """M_β (n, n) in one new array, from B: dMat(1+β)·A·dMat(1+β) − dMat(d)·(I + B) − 2·dMat(d∘β)."""
    B, d, backend = full.B, full.d, backend_of(gram)
    M, weights = backend.copy(gram), backend.column(full.d, gram)
    if beta.any():
        grow = backend.column(1 + beta, gram)
        M *= grow.T
        M *= grow
    for rows in row_blocks(len(d)):
        M[rows] -= weights[rows] * B[rows]
    backend.set_diagonal(M, backend.diagonal(M) + (1 + beta) ** 2 * penalty - d * (1 + 2 * beta))
    return M


def choose_layout(n: int, k: int, itemsize: int, tolerance: float, room: int) -> Layout:
    """The quickest layout that fits into `room` bytes, G included; if none does, the leanest."""
    quick: tuple[Layout, ...] = ("blocks",) if uses_blocks(n, k, tolerance, itemsize) else ("dense", "blocks")
    choices: tuple[Layout, ...] = (*quick, "lean") if tolerance > 0 else ("dense",)
    return next((layout for layout in choices if layout_bytes(layout, n, k, itemsize) <= room), choices[-1])


def layout_bytes(layout: Layout, n: int, k: int, itemsize: int) -> int:
    """Peak memory of `solve_low_rank` in bytes, the Gram matrix included."""
    size, factor = n * n * itemsize, n * k * itemsize
    workspace = (dense_workspace if layout == "dense" else block_workspace)(n, k, itemsize)
    # V, d∘V and C(d∘V), or V, C(d∘V) and U.
    return (1 if layout == "lean" else 2) * size + max(workspace, 3 * factor)
