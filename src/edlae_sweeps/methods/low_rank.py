"""The low-rank step of the closed-form family: V = eig_k(M_β), U = (B + dMat β)V.

M_β = (B + dMat β)ᵀ A (B + dMat β)
    = dMat(1+β)·A·dMat(1+β) − 2·dMat(d∘(1+β)) + dMat(d)·C·dMat(d)
U   = (1+β)∘V − C(d∘V)

Off the diagonal M_β and C are one linear function of the other for a given G, entry by entry, so that a triangle of
one array is enough for both, unless d is so small beside diag A that rounding would swallow C. What is chosen by the
memory that is left:

dense    B in a second n×n array and M_β in a third, for LAPACK
blocks   G below the diagonal of its own array; above it C, then M_β, then C again; B in a second array at the end
lean     as blocks, without B
"""

from collections.abc import Callable
from logging import getLogger
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edlae_sweeps import machine
from edlae_sweeps.linalg import (
    Eigenpairs,
    Product,
    block_krylov,
    block_workspace,
    dense_workspace,
    leading_eigenpairs,
    lower_product,
    mirror_upper,
    set_above,
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

Layout = Literal["dense", "blocks", "lean"]
# What the entries of B may lose to rounding where C is taken from M_β, a tenth of what metrics are held to.
_LOST = 1e-5
# β (n,) from an array with C above the diagonal, and d.
Guess = Callable[[NDArray[Any], Vector], Vector]


def no_guess(C: NDArray[Any], d: Vector) -> Vector:  # noqa: ARG001 - another guess needs it
    """β = 0, as published."""
    return np.zeros(len(d))


def solve_low_rank(
    gram: NDArray[Any], penalty: Vector, k: int, choose: Choose, guess: Guess, tolerance: float
) -> tuple[LowRank, FullRank | None]:
    """U, V (n, k) and, unless memory was too short to keep it, the full-rank solution; G is worked in and put right.

    Flops: n³ for the inverse, then those of the eigenpairs, and 2n²k for U. Raises SolverError when A is singular to
    working precision.
    """
    layout = choose_layout(len(gram), k, gram.itemsize, tolerance, machine.available_memory())
    if layout != "dense":
        return _solve_in_place(gram, penalty, k, choose, guess, tolerance, layout == "lean")
    C = gram.copy()
    diag_C = invert_penalised(C, penalty)
    d = choose(diag_C)
    beta = guess(C, d)
    full = from_inverse(C, diag_C, d)
    return approximate(Problem(gram, penalty, full), k, beta, tolerance), full


def _solve_in_place(
    gram: NDArray[Any], penalty: Vector, k: int, choose: Choose, guess: Guess, tolerance: float, lean: bool
) -> tuple[LowRank, FullRank | None]:
    if lean:
        _log.info("memory is short: the full-rank model is not kept")
    gram = _workplace(gram)
    diagonal, g = np.einsum("ii->i", gram), gram.diagonal().copy()
    try:
        diag_C = invert_penalised(gram, penalty)
        d = choose(diag_C)
        beta = guess(gram, d)
        # In float64, since it cancels.
        rest = (1 + beta) ** 2 * penalty - 2 * d * (1 + beta)
        # No entry of G is larger than the root of the product of its diagonal ones.
        size = (1 + beta) * np.sqrt(g + penalty)
        if np.all(size * size.max() * np.finfo(gram.dtype).eps <= _LOST * d):
            _metric_above(gram, d, beta)
            diagonal[:] = (1 + beta) ** 2 * g + rest + d**2 * diag_C
            pairs = block_krylov(lambda Y: upper_product(gram, Y), len(gram), k, gram.dtype, tolerance)
            _inverse_above(gram, d, beta)
            diagonal[:] = diag_C
        else:
            pairs = block_krylov(_two_products(gram, g, d, beta, rest), len(gram), k, gram.dtype, tolerance)
        model = _model(gram, d, beta, pairs, lean)
        return model, None if lean else from_inverse(gram.copy(), diag_C, d)
    finally:
        # What is below the diagonal was G all the time.
        mirror_upper(gram.T)
        diagonal[:] = g


def _workplace(gram: NDArray[Any]) -> NDArray[Any]:
    """G (n, n) in C order, in an array that may be written: its own, where that is such a one."""
    fit = (view for view in (gram, gram.T) if view.flags.c_contiguous and view.flags.writeable)
    found = next(fit, None)
    return gram.copy() if found is None else found


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


def _metric_above(a: NDArray[Any], d: Vector, beta: Vector) -> None:
    """Off the diagonal, M_β over the C that is above it, with the G below: (1+β_i)G_ij(1+β_j) + d_i C_ij d_j."""
    d, grow = d.astype(a.dtype), (1 + beta).astype(a.dtype)
    for rows, columns in upper_blocks(len(d)):
        block = a[rows, columns] * d[columns]
        block *= d[rows, None]
        block += a[columns, rows].T * grow[columns] * grow[rows, None]
        set_above(a, rows, columns, block)


def _inverse_above(a: NDArray[Any], d: Vector, beta: Vector) -> None:
    """C over the M_β of `_metric_above`.

    Rounding adds eps·(1+β_i)G_ij(1+β_j) / d_i to B_ij.
    """
    d, grow = d.astype(a.dtype), (1 + beta).astype(a.dtype)
    for rows, columns in upper_blocks(len(d)):
        block = a[rows, columns] - a[columns, rows].T * grow[columns] * grow[rows, None]
        block /= d[columns]
        block /= d[rows, None]
        set_above(a, rows, columns, block)


def _two_products(a: NDArray[Any], g: Vector, d: Vector, beta: Vector, rest: Vector) -> Product:
    """Y → M_β Y from the C above the diagonal and the G below, whose diagonal is g: a product with each."""
    grow, weights, rest = column(1 + beta, a.dtype), column(d, a.dtype), column(rest, a.dtype)

    def product(Y: NDArray[Any]) -> NDArray[Any]:
        result = lower_product(a, g, np.asfortranarray(grow * Y))
        result *= grow
        result += rest * Y
        result += weights * upper_product(a, np.asfortranarray(weights * Y))
        return result

    return product


def _model(C: NDArray[Any], d: Vector, beta: Vector, pairs: Eigenpairs, lean: bool) -> LowRank:
    """U = (1+β)∘V − C(d∘V), from the upper triangle of C."""
    V = pairs.vectors
    taken = upper_product(C, np.multiply(column(d, V.dtype), V, order="F"))
    U = column(1 + beta, V.dtype) * V
    U -= taken
    return LowRank(U, V, solved=Solved.by(pairs, lean))


def column(values: Vector, dtype: Any) -> NDArray[Any]:
    """(n, 1), to scale rows by."""
    return values.astype(dtype)[:, None]


def choose_layout(n: int, k: int, itemsize: int, tolerance: float, left: int) -> Layout:
    """The quickest layout that fits into `left` bytes beside G, but for what the process needs; else the leanest."""
    quick: tuple[Layout, ...] = ("blocks",) if uses_blocks(n, k, tolerance, itemsize) else ("dense", "blocks")
    choices: tuple[Layout, ...] = (*quick, "lean") if tolerance > 0 else ("dense",)
    room = left + n * n * itemsize - machine.PROCESS_BYTES
    return next((layout for layout in choices if layout_bytes(layout, n, k, itemsize) <= room), choices[-1])


def layout_bytes(layout: Layout, n: int, k: int, itemsize: int) -> int:
    """Peak memory of `solve_low_rank` in bytes, the Gram matrix included."""
    size, pair = n * n * itemsize, 2 * n * k * itemsize
    if layout == "dense":
        return 2 * size + max(size + dense_workspace(n, k, itemsize), pair)
    # V, d∘V and C(d∘V), or V, C(d∘V) and U.
    in_place = size + max(block_workspace(n, k, itemsize), pair + n * k * itemsize)
    return in_place if layout == "lean" else max(in_place, 2 * size + pair)
