"""The low-rank step with G and C in one array: the only code that modifies G, and restores it.

G stays below the diagonal of its array throughout, and C = A⁻¹ takes the place above it. Where there is room for a
second array, M_β is written there, and B after it. Where there is none, M_β stands in the place of C, and then C again:
for a given G, M_β and C are linear functions of each other, entry by entry off the diagonal, so one triangle serves for
both. The exception is a d so small beside diag A that rounding would swallow C; then both triangles are multiplied with
instead.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np

from edlae_sweeps.linalg import Array, Backend, Eigenpairs, backend_of, block_krylov, leading_eigenpairs
from edlae_sweeps.methods.base import Vector
from edlae_sweeps.methods.closed.inverse import Choose, full_rank_into, invert_penalised
from edlae_sweeps.methods.closed.operators import encoder, metric_product, metric_rest
from edlae_sweeps.models import FullRank, LowRank, Solved

Layout = Literal["dense", "blocks", "lean"]
# β (n,) from an array with C on and above the diagonal, and d.
Guess = Callable[[Array, Vector], Vector]
# What entries of B may lose to rounding if C is recovered from M_β: a tenth of the accuracy that metrics are held to.
_LOST = 1e-5


def solve_in_place(
    gram: Array, penalty: Vector, k: int, choose: Choose, guess: Guess, tolerance: float, layout: Layout
) -> tuple[LowRank, FullRank | None, Vector]:
    """U, V (n, k), the full-rank solution unless the layout is lean, and diag C.

    Modifies G in place and restores it, whatever happens.
    """
    a, backend = _writable(gram), backend_of(gram)
    g = backend.diagonal(a)
    try:
        diag_C = invert_penalised(a, penalty)
        d = choose(diag_C, penalty)
        step = _Step(a, g, penalty, diag_C, d, guess(a, d))
        if layout == "lean":
            pairs, full = step.eigenpairs_alone(k, tolerance), None
        else:
            second = backend.square(len(g), backend.dtype(a))
            pairs = step.eigenpairs(second, k, 0.0 if layout == "dense" else tolerance)
        U = encoder(step, d, step.beta, pairs.vectors)
        if layout != "lean":
            full = full_rank_into(second, a, diag_C, d)
        return LowRank.on_host(U, pairs.vectors, Solved.by(pairs, layout == "lean")), full, diag_C
    finally:
        backend.each_block(len(g), lambda rows, columns: _restore(backend, a, rows, columns))
        backend.set_diagonal(a, g)


def _writable(gram: Array) -> Array:
    """G (n, n) in C order and writable: a view if G is so, else a copy."""
    if not isinstance(gram, np.ndarray):
        return gram
    views = (view for view in (gram, gram.T) if view.flags.c_contiguous and view.flags.writeable)
    view = next(views, None)
    return gram.copy() if view is None else view


def _restore(backend: Backend, a: Array, rows: slice, columns: slice) -> None:
    """Copy a block of G from below the diagonal to above it."""
    backend.set_above(a, rows, columns, a[columns, rows].T)


class _Step:
    """C on and above the diagonal of `a`, G below it with the diagonal g, and M_β as products or written out."""

    def __init__(self, a: Array, g: Vector, penalty: Vector, diag_C: Vector, d: Vector, beta: Vector) -> None:
        self.a, self.g, self.penalty, self.diag_C, self.d, self.beta = a, g, penalty, diag_C, d, beta
        self._backend = backend_of(a)
        self._grow, self._weights = self._backend.column(1 + beta, a), self._backend.column(d, a)

    def gram(self, Y: Array) -> Array:
        """GY."""
        return self._backend.lower_product(self.a, self.g, Y)

    def inverse(self, Y: Array) -> Array:
        """CY."""
        return self._backend.upper_product(self.a, Y)

    def eigenpairs(self, M: Array, k: int, tolerance: float) -> Eigenpairs:
        """The k leading eigenpairs of M_β, which is written to M (n, n); by a dense solver if `tolerance` is 0."""
        backend = self._backend

        def fill(rows: slice, columns: slice) -> None:
            block = self._scaled(backend.upper(self.a, rows, columns), self._weights, rows, columns)
            block += self._scaled(backend.lower(self.a, rows, columns), self._grow, rows, columns)
            M[rows, columns] = block
            M[columns, rows] = block.T

        backend.each_block(len(self.g), fill)
        backend.set_diagonal(M, self._diagonal())
        if tolerance == 0:
            return leading_eigenpairs(M, k, 0.0, overwrite=True)
        return self._krylov(lambda Y: backend.symmetric_product(M, Y), k, tolerance)

    def eigenpairs_alone(self, k: int, tolerance: float) -> Eigenpairs:
        """The same without another array; `a` is the same before and after."""
        a, backend = self.a, self._backend
        # No entry of G exceeds the root of the product of its diagonal entries.
        size = (1 + self.beta) * np.sqrt(self.g + self.penalty)
        if not np.all(size * size.max() * np.finfo(backend.dtype(a)).eps <= _LOST * self.d):
            return self._krylov(metric_product(self, self.penalty, self.d, self.beta), k, tolerance)
        backend.each_block(len(self.g), self._metric_above)
        backend.set_diagonal(a, self._diagonal())
        pairs = self._krylov(lambda Y: backend.upper_product(a, Y), k, tolerance)
        backend.each_block(len(self.g), self._inverse_above)
        backend.set_diagonal(a, self.diag_C)
        return pairs

    def _krylov(self, product: Callable[[Array], Array], k: int, tolerance: float) -> Eigenpairs:
        return block_krylov(product, len(self.g), k, self._backend.dtype(self.a), tolerance, backend=self._backend)

    def _diagonal(self) -> Vector:
        """diag M_β (n,)."""
        fixed = metric_rest(self.penalty, self.d, self.beta)
        diagonal: Vector = (1 + self.beta) ** 2 * self.g + fixed + self.d**2 * self.diag_C
        return diagonal

    def _metric_above(self, rows: slice, columns: slice) -> None:
        """Replace a block of C above the diagonal by M_β, using G below it: (1+β_i)G_ij(1+β_j) + d_i C_ij d_j."""
        block = self._scaled(self.a[rows, columns], self._weights, rows, columns)
        block += self._scaled(self.a[columns, rows].T, self._grow, rows, columns)
        self._backend.set_above(self.a, rows, columns, block)

    def _inverse_above(self, rows: slice, columns: slice) -> None:
        """Undo `_metric_above`. Rounding adds eps·(1+β_i)G_ij(1+β_j) / d_i to B_ij."""
        block = self.a[rows, columns] - self._scaled(self.a[columns, rows].T, self._grow, rows, columns)
        block /= self._weights[columns].T
        block /= self._weights[rows]
        self._backend.set_above(self.a, rows, columns, block)

    def _scaled(self, block: Array, scale: Array, rows: slice, columns: slice) -> Array:
        """scale_i block_ij scale_j, a new array, for the rows and columns of this block."""
        scaled: Array = block * scale[rows]
        scaled *= scale[columns].T
        return scaled
