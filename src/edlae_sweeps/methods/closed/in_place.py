"""The low-rank step in the array of the Gram matrix: the only code that modifies G, and restores it.

G stays below the diagonal throughout. Above it stand C, then M_β, then C again: for a given G, M_β and C are linear
functions of each other, entry by entry off the diagonal, so one triangle serves for both. The exception is a d so small
beside diag A that rounding would swallow C; then both triangles are multiplied with instead.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edlae_sweeps.linalg import (
    Eigenpairs,
    block_krylov,
    lower_product,
    mirror_upper,
    set_above,
    upper_blocks,
    upper_product,
)
from edlae_sweeps.methods.base import Vector
from edlae_sweeps.methods.closed.inverse import Choose, full_rank_from, invert_penalised
from edlae_sweeps.methods.closed.operators import encoder, metric_product
from edlae_sweeps.models import FullRank, LowRank, Solved

# What entries of B may lose to rounding if C is recovered from M_β: a tenth of the accuracy that metrics are held to.
_LOST = 1e-5


def solve_in_place(
    gram: NDArray[Any],
    penalty: Vector,
    k: int,
    choose: Choose,
    guess: Callable[[NDArray[Any], Vector], Vector],
    tolerance: float,
    lean: bool,
) -> tuple[LowRank, FullRank | None, Vector]:
    """U, V (n, k), the full-rank solution unless `lean`, and diag C.

    Modifies G in place and restores it, whatever happens.
    """
    a = _writable(gram)
    diagonal, g = np.einsum("ii->i", a), a.diagonal().copy()
    try:
        diag_C = invert_penalised(a, penalty)
        d = choose(diag_C, penalty)
        beta = guess(a, d)
        pairs = _eigenpairs(a, g, penalty, diag_C, d, beta, k, tolerance)
        U = encoder(_Triangles(a, g), d, beta, pairs.vectors)
        model = LowRank(U, pairs.vectors, record=Solved.by(pairs, lean))
        return model, None if lean else full_rank_from(a.copy(), diag_C, d), diag_C
    finally:
        mirror_upper(a.T)
        diagonal[:] = g


def _writable(gram: NDArray[Any]) -> NDArray[Any]:
    """G (n, n) in C order and writable: a view if G is so, else a copy."""
    views = (view for view in (gram, gram.T) if view.flags.c_contiguous and view.flags.writeable)
    view = next(views, None)
    return gram.copy() if view is None else view


def _eigenpairs(
    a: NDArray[Any], g: Vector, penalty: Vector, diag_C: Vector, d: Vector, beta: Vector, k: int, tolerance: float
) -> Eigenpairs:
    """The k leading eigenpairs of M_β; `a` has C on and above the diagonal, before and after."""
    n, diagonal = len(a), np.einsum("ii->i", a)
    # No entry of G exceeds the root of the product of its diagonal entries.
    size = (1 + beta) * np.sqrt(g + penalty)
    if not np.all(size * size.max() * np.finfo(a.dtype).eps <= _LOST * d):
        return block_krylov(metric_product(_Triangles(a, g), penalty, d, beta), n, k, a.dtype, tolerance)
    _metric_above(a, d, beta)
    # In float64, since it cancels.
    diagonal[:] = (1 + beta) ** 2 * (g + penalty) - 2 * d * (1 + beta) + d**2 * diag_C
    pairs = block_krylov(lambda Y: upper_product(a, Y), n, k, a.dtype, tolerance)
    _inverse_above(a, d, beta)
    diagonal[:] = diag_C
    return pairs


def _metric_above(a: NDArray[Any], d: Vector, beta: Vector) -> None:
    """Replace C above the diagonal by M_β, using G below it: (1+β_i)G_ij(1+β_j) + d_i C_ij d_j."""
    d, grow = d.astype(a.dtype), (1 + beta).astype(a.dtype)
    for rows, columns in upper_blocks(len(d)):
        block = a[rows, columns] * d[columns]
        block *= d[rows, None]
        block += a[columns, rows].T * grow[columns] * grow[rows, None]
        set_above(a, rows, columns, block)


def _inverse_above(a: NDArray[Any], d: Vector, beta: Vector) -> None:
    """Undo `_metric_above`. Rounding adds eps·(1+β_i)G_ij(1+β_j) / d_i to B_ij."""
    d, grow = d.astype(a.dtype), (1 + beta).astype(a.dtype)
    for rows, columns in upper_blocks(len(d)):
        block = a[rows, columns] - a[columns, rows].T * grow[columns] * grow[rows, None]
        block /= d[columns]
        block /= d[rows, None]
        set_above(a, rows, columns, block)


@dataclass(frozen=True)
class _Triangles:
    """C on and above the diagonal of `a`, G below it, with the diagonal g."""

    a: NDArray[Any]
    g: Vector

    def gram(self, Y: NDArray[Any]) -> NDArray[Any]:
        return lower_product(self.a, self.g, np.asfortranarray(Y))

    def inverse(self, Y: NDArray[Any]) -> NDArray[Any]:
        return upper_product(self.a, np.asfortranarray(Y))
