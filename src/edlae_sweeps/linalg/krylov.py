"""Leading eigenpairs of a symmetric operator by a block Krylov method: products with a few columns at a time.

The basis Q (n, m) of span{Y, MY, M²Y, …} grows by b columns a step, kept orthonormal by block Lanczos with full
reorthogonalisation (Golub & Underwood 1977); H = QᵀMQ is projected out on the way, and its leading eigenpairs (θ, S)
give θ and V = QS. A polynomial of the best kind for the same products, where subspace iteration has a power.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy.linalg import eigh, get_blas_funcs, get_lapack_funcs

from edlae_sweeps.errors import SolverError

# Y (n, b) in Fortran order → M Y.
Product = Callable[[NDArray[Any]], NDArray[Any]]

_SEED = 0
_TINY = 1e-30
# Eigenvalues below so many times machine epsilon, relative to the largest, are rounding.
_ROUNDING = 8
# Time of the eigenpairs of H (m, m) in products of m×m×m, as measured at m = 12,500 on two cores.
EIGENPAIRS_PRODUCTS = 6.0
# A product with a narrow block takes as long as one with so many more columns: it is the matrix that has to be read.
READING = 80
# Where the eigenpairs of H take longer than a step: columns, by k, at which they are looked at first, and the factor by
# which the gap is expected to fall with a step at least; it was 5 to 30 on debian, ml-1m, ml-20m-like, more at the end.
_FIRST_LOOK = 2.5
_FALL = 8.0
# Inner product of two eigenvectors up to which they count as two of one cluster, for Cholesky to part.
_LOST = 0.3
# Least distance of a column of length one from the span of those before it that Cholesky QR is trusted with.
_DEPENDENT = 0.02


@dataclass(frozen=True)
class Eigenpairs:
    """θ (k,), descending, and orthonormal V (n, k), with how they were found.

    `gap` is the estimate of (Σθ* − Σθ) / Σθ*, the energy missed; `steps` the number of products with a block, 0 where
    there were none.
    """

    values: NDArray[Any]
    vectors: NDArray[Any]
    gap: float
    steps: int


def block_width(k: int) -> int:
    """Columns that the basis grows by. Narrow blocks need fewer columns in all, wide ones are quicker by the column."""
    return max(min(max(16, k // 2), 64), k // 8)


def basis_columns(n: int, k: int) -> int:
    """Columns that the basis is expected to have in the end, and room is made for."""
    return min(n, 5 * k // 2 + 5 * block_width(k) + 64)


def block_workspace(n: int, k: int, itemsize: int) -> int:
    """Bytes that `block_krylov` takes: the basis, the blocks of H, and the blocks in hand of a step or, at a check, the
    last of them, the eigenvectors of H, and beside these H or V. Not counted: a basis that has to grow beyond what is
    expected, and H in float64, where that is needed.
    """
    m, b = basis_columns(n, k), block_width(k)
    return (n * m + 2 * b * m + max(4 * n * b, n * b + m * m + max(m * m, n * k))) * itemsize


def block_krylov(product: Product, n: int, k: int, dtype: DTypeLike, tolerance: float) -> Eigenpairs:
    """The k leading eigenpairs of M (n, n), to a gap of captured energy Σθ of `tolerance`.

    The gap is estimated from the residuals r_i = M v_i − θ_i v_i, by what one more step would gain to second order,
    Σ‖r_i‖² / (θ_i − μ) with the mean μ of the last block's Rayleigh quotients, times two for the steps after it.

    Flops: 2n²m for the products, 4nm² to keep the basis orthonormal, 2nmk for V, and the eigenpairs of H; m is
    2.5k to 3.5k. The starting block is the same in every call.

    Raises SolverError where 8k columns and more do not come so near.
    """
    random = np.random.default_rng(_SEED)
    b = block_width(k)
    basis = Basis(n, basis_columns(n, k), min(n, 8 * k + 32 * b), dtype)
    basis.append(_orthonormal(_normal(random, (n, min(b, n)), dtype)))
    steps, due = 0, _FIRST_LOOK * k
    looks: list[tuple[int, float]] = []
    while True:
        W = product(basis.last)
        steps += 1
        basis.project(W)
        m = basis.m
        if m == basis.largest or m >= due or (m >= 1.5 * k and _is_cheap(n, m, b)):
            values, S = basis.eigenpairs(k)
            gap = 0.0 if m == n else basis.gap(values, S, W)
            if gap <= tolerance:
                return Eigenpairs(values, basis.Q @ S, gap, steps)
            if m == basis.largest:
                raise SolverError(
                    f"{k} eigenpairs of {n} come to a gap of {gap:.1e} with {m} vectors, not to {tolerance:g}: "
                    "raise method.eig_tol, or set it to 0 for the dense eigensolver"
                )
            looks.append((steps, min(1.0, gap)))
            due = m + b * _steps_left(looks, tolerance)
        basis.append(basis.next_block(W, random))


def _is_cheap(n: int, m: int, b: int) -> bool:
    """Whether the eigenpairs of H (m, m) take no longer than a step with b columns."""
    return EIGENPAIRS_PRODUCTS * (m / n) ** 3 <= (b + READING) / n


def _steps_left(looks: list[tuple[int, float]], tolerance: float) -> int:
    """Steps until the gap is expected to be small enough, from those after which it was looked at, and what it was."""
    fall = _FALL
    if len(looks) > 1:
        (before, larger), (now, smaller) = looks[-2:]
        fall = max(fall, (larger / smaller) ** (1 / (now - before)))
    return math.ceil(math.log(looks[-1][1] / tolerance) / math.log(fall))


class Basis:
    """Orthonormal Q (n, m) that grows by blocks, with H = QᵀMQ (m, m), which is block tridiagonal."""

    def __init__(self, n: int, expected: int, largest: int, dtype: DTypeLike) -> None:
        self.largest = largest
        # Where the last block but one, the last, and the one to come begin.
        self._before, self._last, self.m = 0, 0, 0
        self._Q = np.empty((n, expected), dtype=dtype, order="F")
        # Of each block of columns of H, what is not zero down to the diagonal.
        self._H: list[tuple[slice, slice, NDArray[Any]]] = []

    @property
    def Q(self) -> NDArray[Any]:  # noqa: N802 - a matrix
        """(n, m), in Fortran order."""
        return self._Q[:, : self.m]

    @property
    def last(self) -> NDArray[Any]:
        """The last block (n, b), as it stands in Q."""
        return self._Q[:, self._last : self.m]

    def append(self, block: NDArray[Any]) -> None:
        """Take in a block that is orthonormal to the others."""
        self._before, self._last, self.m = self._last, self.m, self.m + block.shape[1]
        if self.m > self._Q.shape[1]:
            grown = min(self.largest, self.m + self.m // 4)
            self._Q, old = np.empty((len(self._Q), grown), dtype=self._Q.dtype, order="F"), self._Q
            self._Q[:, : self._last] = old[:, : self._last]
        self.last[:] = block

    def project(self, W: NDArray[Any]) -> None:
        """Take from W = M·(last block) what lies in the last two blocks, all but rounding, and note it in H."""
        now = slice(self._last, self.m)
        local = slice(self._before, self.m)
        within = self._Q[:, local].T @ W
        self._H.append((local, now, within))
        W -= self._Q[:, local] @ within

    def next_block(self, W: NDArray[Any], random: np.random.Generator) -> NDArray[Any]:
        """An orthonormal basis of W that is orthogonal to Q; W is overwritten."""
        block = _orthonormal(W)[:, : self.largest - self.m]
        block -= self.Q @ (self.Q.T @ block)
        # What was in Q already, because it holds all that M makes of the start, is replaced by chance.
        inside = np.linalg.norm(block, axis=0) < 0.1
        if inside.any():
            fresh = _normal(random, (len(block), int(inside.sum())), block.dtype)
            block[:, inside] = fresh - self.Q @ (self.Q.T @ fresh)
        return _orthonormal(block)

    def eigenpairs(self, k: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """θ (k,) and S (m, k) of H.

        By MRRR (LAPACK syevr of the whole spectrum), whose vectors are accurate to the eigenvalue, not to the largest
        of all as those of divide and conquer are, which in float32 blurs what is kept and what is cut. What they may
        lack is orthogonality within a cluster. It is restored; where vectors coincide, divide and conquer in float64
        has to do.
        """
        values, S = self._decomposed("evr", self._Q.dtype, k)
        potrf, trsm = get_lapack_funcs(("potrf",), (S,))[0], get_blas_funcs("trsm", (S,))
        products = S.T @ S
        lost = np.abs(products - np.eye(k, dtype=S.dtype)).max()
        factor, info = potrf(products, lower=0)
        if lost > _LOST or info > 0:
            del S, products, factor
            return self._decomposed("evd", np.float64, k)
        return values, trsm(1, factor, S, side=1, overwrite_b=1)

    def _decomposed(self, driver: str, dtype: DTypeLike, k: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """θ (k,) and S (m, k) by one of LAPACK's drivers, in a precision of its own."""
        negated = self._negated().astype(dtype, copy=False)
        values, S = eigh(negated, lower=False, overwrite_a=True, check_finite=False, driver=driver)
        return (-values[:k]).astype(self._Q.dtype), S[:, :k].astype(self._Q.dtype, copy=False)

    def _negated(self) -> NDArray[Any]:
        """The upper triangle of −H (m, m): LAPACK sorts upwards, and what leads H comes first."""
        H = np.zeros((self.m, self.m), dtype=self._Q.dtype, order="F")
        for rows, columns, block in self._H:
            np.negative(block, out=H[rows, columns])
        return H

    def gap(self, values: NDArray[Any], S: NDArray[Any], W: NDArray[Any]) -> float:
        """The estimated relative gap of energy; W (n, b) is what the last product had outside of Q."""
        last = slice(self._last, self.m)
        squares = np.einsum("ij,ij->j", S[last], (W.T @ W) @ S[last], dtype=np.float64)
        theta = values.astype(np.float64)
        quotients = self._H[-1][2].diagonal(self._before - self._last)
        # With a random start only M itself can leave k of 1.5k Ritz values at the level of rounding, by a rank below k:
        # nothing is missed there.
        rounding = _ROUNDING * np.finfo(values.dtype).eps * theta[0]
        counted = theta > rounding
        distance = np.maximum(theta - quotients.mean(dtype=np.float64), rounding)[counted]
        return float(2 * np.sum(np.maximum(squares[counted], 0) / distance) / (theta.sum() + _TINY))


def _normal(random: np.random.Generator, shape: tuple[int, int], dtype: DTypeLike) -> NDArray[Any]:
    return np.asfortranarray(random.standard_normal(shape, dtype=np.float32).astype(dtype))


def _orthonormal(Y: NDArray[Any]) -> NDArray[Any]:
    """An orthonormal basis (n, b) of the columns of Y, which is overwritten.

    Cholesky QR of the scaled columns, all of it products of matrices, twice as quick as Householder's or more; where
    the columns are too nearly dependent for it, Householder's (LAPACK geqrf, orgqr).
    """
    Y /= np.maximum(np.linalg.norm(Y, axis=0), np.finfo(Y.dtype).tiny)
    trsm = get_blas_funcs("trsm", (Y,))
    potrf, geqrf, orgqr = get_lapack_funcs(("potrf", "geqrf", "orgqr"), (Y,))
    factor, info = potrf((Y.T @ Y).T, lower=0, overwrite_a=1)
    if info == 0 and factor.diagonal().min() > _DEPENDENT:
        basis: NDArray[Any] = trsm(1, factor, Y, side=1, overwrite_b=1)
        return basis
    workspace = 64 * Y.shape[1]
    factor, tau, _, _ = geqrf(Y, lwork=workspace, overwrite_a=1)
    basis = orgqr(factor, tau, lwork=workspace, overwrite_a=1)[0]
    return basis  # noqa: RET504 - LAPACK has no types
