"""The low-rank step of the closed-form family: V = eig_k(M_β), U = (B + dMat β)V.

M_β = (B + dMat β)ᵀ A (B + dMat β)
    = dMat(1+β)·A·dMat(1+β) − 2·dMat(d∘(1+β)) + dMat(d)·C·dMat(d)
U   = (1+β)∘V − C(d∘V)

C needs one triangle of an array, and M_β or G the other. What is chosen by the memory that is left:

separate   C above the diagonal of a second n×n array and M_β below it; C then becomes B there
shared     C above the diagonal of G's own array, which is put right at the end: M_β is applied, two products for one
"""

from collections.abc import Callable
from logging import getLogger
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edlae_sweeps import machine
from edlae_sweeps.linalg import (
    Eigenpairs,
    block_krylov,
    block_workspace,
    dense_workspace,
    leading_eigenpairs,
    lower_product,
    mirror_upper,
    set_below,
    upper_blocks,
    upper_product,
    uses_blocks,
)
from edlae_sweeps.methods.base import FullRank, LowRank, Solved, Vector
from edlae_sweeps.methods.full_rank import (
    Choose,
    Problem,
    from_inverse,
    invert_penalised,
    row_blocks,
)

_log = getLogger(__name__)

Layout = Literal["dense", "separate", "shared"]
# β (n,) from an array with C above the diagonal, and d.
Guess = Callable[[NDArray[Any], Vector], Vector]


def no_guess(C: NDArray[Any], d: Vector) -> Vector:  # noqa: ARG001 - another guess needs it
    """β = 0, as published."""
    return np.zeros(len(d))


def solve_low_rank(
    gram: NDArray[Any], penalty: Vector, k: int, choose: Choose, guess: Guess, tolerance: float
) -> tuple[LowRank, FullRank | None]:
    """U, V (n, k) and, unless memory was too short to keep it, the full-rank solution; G is left as it was.

    Flops: n³ for the inverse, then those of the eigenpairs, and 2n²k for U. Raises SolverError when A is singular to
    working precision.
    """
    n = len(gram)
    layout = choose_layout(n, k, gram.itemsize, tolerance, machine.available_memory())
    if layout == "shared":
        _log.info("memory is short: the Gram matrix and its inverse share one array, and no full-rank model is kept")
        return _solve_shared(gram, penalty, k, choose, guess, tolerance), None
    C = gram.copy()
    diag_C = invert_penalised(C, penalty)
    d = choose(diag_C)
    beta = guess(C, d)
    if layout == "dense":
        full = from_inverse(C, diag_C, d)
        return approximate(Problem(gram, penalty, full), k, beta, tolerance), full
    _metric_below(C, gram, d, beta)
    diagonal = _metric_diagonal(gram, penalty, diag_C, d, beta)
    pairs = block_krylov(lambda Y: lower_product(C, diagonal, Y), n, k, gram.dtype, tolerance)
    return _model(C, d, beta, pairs, shared=False), from_inverse(C, diag_C, d)


def _solve_shared(
    gram: NDArray[Any], penalty: Vector, k: int, choose: Choose, guess: Guess, tolerance: float
) -> LowRank:
    g = gram.diagonal().copy()
    try:
        diag_C = invert_penalised(gram, penalty)
        d = choose(diag_C)
        beta = guess(gram, d)
        grow, weights = column(1 + beta, gram.dtype), column(d, gram.dtype)
        rest = column((1 + beta) ** 2 * penalty - 2 * d * (1 + beta), gram.dtype)

        def product(Y: NDArray[Any]) -> NDArray[Any]:
            result = lower_product(gram, g, np.asfortranarray(grow * Y))
            result *= grow
            result += rest * Y
            result += weights * upper_product(gram, np.asfortranarray(weights * Y))
            return result

        pairs = block_krylov(product, len(gram), k, gram.dtype, tolerance)
        return _model(gram, d, beta, pairs, shared=True)
    finally:
        # What is below the diagonal was G all the time.
        mirror_upper(gram.T)
        np.einsum("ii->i", gram)[:] = g


def approximate(problem: Problem, k: int, beta: Vector, tolerance: float) -> LowRank:
    """The best rank-k approximation of B + dMat(β) in the metric of A, where the full-rank solution is at hand."""
    B = problem.full.B
    pairs = leading_eigenpairs(metric(problem, beta), k, tolerance, overwrite=True)
    V = pairs.vectors
    U = B @ V
    U += column(beta, V.dtype) * V
    return LowRank(U, V, solved=Solved.by(pairs))


def metric(problem: Problem, beta: Vector) -> NDArray[Any]:
    """M_β (n, n) in one new array, from B: dMat(1+β)·A·dMat(1+β) − dMat(d)·(I + B) − 2·dMat(d∘β)."""
    gram, B, d = problem.gram, problem.full.B, problem.full.d
    M = gram.copy()
    if beta.any():
        M *= (1 + beta).astype(M.dtype)
        M *= column(1 + beta, M.dtype)
    for rows in row_blocks(len(d)):
        M[rows] -= column(d[rows], M.dtype) * B[rows]
    np.einsum("ii->i", M)[:] += (1 + beta) ** 2 * problem.penalty - d * (1 + 2 * beta)
    return M


def _metric_below(C: NDArray[Any], gram: NDArray[Any], d: Vector, beta: Vector) -> None:
    """Write M_β below the diagonal of C (n, n), whose inverse is above: (1+β_i)G_ij(1+β_j) + d_i C_ij d_j."""
    d, grow = d.astype(C.dtype), (1 + beta).astype(C.dtype)
    for rows, columns in upper_blocks(len(d)):
        block = C[rows, columns] * d[columns]
        block *= d[rows, None]
        block += gram[rows, columns] * grow[columns] * grow[rows, None]
        set_below(C, rows, columns, block.T)


def _metric_diagonal(gram: NDArray[Any], penalty: Vector, diag_C: Vector, d: Vector, beta: Vector) -> Vector:
    """diag M_β (n,): (1+β)²∘(g + Λ) − 2d∘(1+β) + d²∘diag C, in float64, since it cancels."""
    diagonal: Vector = (1 + beta) ** 2 * (gram.diagonal() + penalty) - 2 * d * (1 + beta) + d**2 * diag_C
    return diagonal


def _model(C: NDArray[Any], d: Vector, beta: Vector, pairs: Eigenpairs, shared: bool) -> LowRank:
    """U = (1+β)∘V − C(d∘V), from the upper triangle of C."""
    V = pairs.vectors
    taken = upper_product(C, np.multiply(column(d, V.dtype), V, order="F"))
    U = column(1 + beta, V.dtype) * V
    U -= taken
    return LowRank(U, V, solved=Solved.by(pairs, shared))


def column(values: Vector, dtype: Any) -> NDArray[Any]:
    """(n, 1), to scale rows by."""
    return values.astype(dtype)[:, None]


def choose_layout(n: int, k: int, itemsize: int, tolerance: float, left: int) -> Layout:
    """The quickest layout that fits into `left` bytes beside G, but for what the process needs; else the leanest."""
    quick: Layout = "separate" if uses_blocks(n, k, tolerance) else "dense"
    choices: tuple[Layout, ...] = (quick, "separate", "shared") if tolerance > 0 else ("dense",)
    room = left + n * n * itemsize - machine.PROCESS_BYTES
    return next((layout for layout in choices if layout_bytes(layout, n, k, itemsize) <= room), choices[-1])


def layout_bytes(layout: Layout, n: int, k: int, itemsize: int) -> int:
    """Peak memory of `solve_low_rank` in bytes, the Gram matrix included."""
    size, pair = n * n * itemsize, 2 * n * k * itemsize
    if layout == "dense":
        return 2 * size + max(size + dense_workspace(n, k, itemsize), pair)
    # V, d∘V and C(d∘V), or V, C(d∘V) and U.
    return (2 if layout == "separate" else 1) * size + max(block_workspace(n, k, itemsize), 3 * n * k * itemsize)
