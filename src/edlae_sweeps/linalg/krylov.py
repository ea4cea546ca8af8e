"""Leading eigenpairs of a symmetric operator M (n, n) by a block Krylov method.

M is only multiplied with blocks of b columns. The basis Q (n, m) of span{Y, MY, M²Y, …} grows by b columns per step;
block Lanczos with full reorthogonalisation keeps it orthonormal (Golub & Underwood 1977) and yields H = QᵀMQ. The
leading eigenpairs (θ, S) of H give θ and V = QS. With the same products, the Krylov space contains the optimal
polynomial of M applied to Y; subspace iteration uses only a power.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy.linalg import eigh, get_blas_funcs, get_lapack_funcs

from edlae_sweeps.errors import SolverError
from edlae_sweeps.linalg.orthonormal import normal, orthonormal

# Y (n, b) in Fortran order → M Y.
Product = Callable[[NDArray[Any]], NDArray[Any]]

_SEED = 0
_TINY = 1e-30
# Eigenvalues below this multiple of machine epsilon, relative to the largest, count as rounding errors.
_ROUNDING = 8
# Time of the eigenpairs of H (m, m) in units of one m×m×m product, measured at m = 12,500 on two cores.
EIGENPAIRS_PRODUCTS = 6.0
# Cost of reading M in each product with a block, in columns.
READING = 80
# Columns per step for an operator that is not an array.
NARROW = 16
# Used where the eigenpairs of H take longer than a step: the number of columns at the first check, as a multiple of k,
# and the least factor by which a step of 64 columns is expected to reduce the gap. On debian, ml-1m and ml-20m-like
# the factor was 5 to 30, and larger towards the end.
_FIRST_CHECK = 2.5
_FALL, _FALL_COLUMNS = 8.0, 64
# Largest inner product of two computed eigenvectors that Cholesky may orthogonalise.
_LOST = 0.3


@dataclass(frozen=True)
class Eigenpairs:
    """θ (k,), descending, orthonormal V (n, k), and how they were computed.

    gap    estimate of (Σθ* − Σθ) / Σθ*, the energy missed
    steps  number of products with a block; 0 for a dense solver
    """

    values: NDArray[Any]
    vectors: NDArray[Any]
    gap: float
    steps: int


def block_width(k: int, narrow: bool = False) -> int:
    """b, the columns per step. Narrow blocks need fewer columns in total; wide blocks take less time per column.

    For an operator whose columns cost the same in any block, `narrow` is better: on a synthetic n = 99,795 at k = 200,
    752 columns in blocks of 16 did what took 864 in blocks of 32 and 1,152 in blocks of 64.
    """
    return NARROW if narrow else max(min(max(16, k // 2), 64), k // 8)


def basis_columns(n: int, k: int, narrow: bool = False) -> int:
    """The expected final number of columns of the basis, for which memory is allocated at the start."""
    if narrow:
        # More than most matrices need: memory that is not used is only reserved.
        return min(n, 4 * k + 5 * NARROW)
    return min(n, 5 * k // 2 + 5 * block_width(k) + 64)


def block_workspace(n: int, k: int, itemsize: int, narrow: bool = False) -> int:
    """Peak bytes of `block_krylov`: the basis, the blocks of H, and the temporaries of a step or of a check.

    A check needs the last block, the eigenvectors of H, and H or V. Not counted: a basis that outgrows its expected
    size, and H in float64 where that fallback is needed.
    """
    m, b = basis_columns(n, k, narrow), block_width(k, narrow)
    return (n * m + 2 * b * m + max(4 * n * b, n * b + m * m + max(m * m, n * k))) * itemsize


def block_krylov(
    product: Product, n: int, k: int, dtype: DTypeLike, tolerance: float, narrow: bool = False
) -> Eigenpairs:
    """The k leading eigenpairs of M (n, n), up to a relative gap of captured energy Σθ of `tolerance`.

    The gap is estimated from the residuals r_i = M v_i − θ_i v_i. To second order, one more step gains
    Σ‖r_i‖² / (θ_i − μ), where μ is the mean of the last block's Rayleigh quotients; a factor of two accounts for later
    steps.

    Flops: 2n²m for the products, 4nm² for orthogonalisation, 2nmk for V, and the eigenpairs of H; m is 2.5k to 3.5k.
    `narrow` is for an operator that is not an array (see `block_width`). The random starting block is the same in every
    call.

    Raises SolverError if a basis of min(n, 8k + 32b) columns leaves a larger gap.
    """
    random = np.random.default_rng(_SEED)
    b = block_width(k, narrow)
    basis = Basis(n, basis_columns(n, k, narrow), min(n, 8 * k + 32 * b), dtype)
    basis.append(orthonormal(normal(random, (n, min(b, n)), dtype)))
    steps, due = 0, _FIRST_CHECK * k
    checks: list[tuple[int, float]] = []
    while True:
        W = product(basis.last)
        steps += 1
        basis.project(W)
        m = basis.m
        if m == basis.largest or m >= due or (m >= 1.5 * k and _is_cheap(n, m, b, narrow)):
            values, S = basis.eigenpairs(k)
            gap = 0.0 if m == n else basis.gap(values, S, W)
            if gap <= tolerance:
                return Eigenpairs(values, basis.Q @ S, gap, steps)
            if m == basis.largest:
                raise SolverError(
                    f"{k} eigenpairs of {n} have a gap of {gap:.1e} after {m} vectors, not {tolerance:g}: "
                    "raise method.eig_tol, or set it to 0 for the dense eigensolver"
                )
            checks.append((steps, min(1.0, gap)))
            ahead = b * _steps_left(checks, tolerance, b)
            # A step of a narrow operator costs more than a look.
            due = m + (min(ahead, k // 2) if narrow else ahead)
        basis.append(basis.next_block(W, random))


def _is_cheap(n: int, m: int, b: int, narrow: bool) -> bool:
    """True if the eigenpairs of H (m, m) take no longer than a step with b columns.

    Of a step of a narrow operator only the orthogonalisation is known, 4nmb flops.
    """
    if narrow:
        return 2 * EIGENPAIRS_PRODUCTS * m**3 <= 4 * n * m * b
    return EIGENPAIRS_PRODUCTS * (m / n) ** 3 <= (b + READING) / n


def _steps_left(checks: list[tuple[int, float]], tolerance: float, b: int) -> int:
    """Expected number of steps until the gap is at most `tolerance`. `checks` are earlier (step, gap) pairs."""
    fall = _FALL ** min(1.0, b / _FALL_COLUMNS)
    if len(checks) > 1:
        (before, larger), (now, smaller) = checks[-2:]
        fall = max(fall, (larger / smaller) ** (1 / (now - before)))
    return math.ceil(math.log(checks[-1][1] / tolerance) / math.log(fall))


class Basis:
    """Orthonormal Q (n, m), which grows by blocks, and H = QᵀMQ (m, m), which is block tridiagonal."""

    def __init__(self, n: int, expected: int, largest: int, dtype: DTypeLike) -> None:
        self.largest = largest
        # First columns of the last block but one, of the last block, and of the next one.
        self._before, self._last, self.m = 0, 0, 0
        self._Q = np.empty((n, expected), dtype=dtype, order="F")
        # For each block of columns of H: the non-zero rows down to the diagonal block.
        self._H: list[tuple[slice, slice, NDArray[Any]]] = []

    @property
    def Q(self) -> NDArray[Any]:  # noqa: N802 - a matrix
        """The basis (n, m), in Fortran order."""
        return self._Q[:, : self.m]

    @property
    def last(self) -> NDArray[Any]:
        """The last block (n, b), a view of Q."""
        return self._Q[:, self._last : self.m]

    def append(self, block: NDArray[Any]) -> None:
        """Append an orthonormal block that is orthogonal to Q."""
        self._before, self._last, self.m = self._last, self.m, self.m + block.shape[1]
        if self.m > self._Q.shape[1]:
            grown = min(self.largest, self.m + self.m // 4)
            self._Q, old = np.empty((len(self._Q), grown), dtype=self._Q.dtype, order="F"), self._Q
            self._Q[:, : self._last] = old[:, : self._last]
        self.last[:] = block

    def project(self, W: NDArray[Any]) -> None:
        """Remove the components in the last two blocks from W = M·(last block), in place, and store them in H.

        Components in earlier blocks are rounding errors, because H is block tridiagonal.
        """
        now = slice(self._last, self.m)
        local = slice(self._before, self.m)
        within = self._Q[:, local].T @ W
        self._H.append((local, now, within))
        W -= self._Q[:, local] @ within

    def next_block(self, W: NDArray[Any], random: np.random.Generator) -> NDArray[Any]:
        """An orthonormal basis of W that is orthogonal to Q. Overwrites W."""
        block = orthonormal(W)[:, : self.largest - self.m]
        block -= self.Q @ (self.Q.T @ block)
        # Columns that lie in Q, because the Krylov space of the starting block is exhausted, become random ones.
        inside = np.linalg.norm(block, axis=0) < 0.1
        if inside.any():
            fresh = normal(random, (len(block), int(inside.sum())), block.dtype)
            block[:, inside] = fresh - self.Q @ (self.Q.T @ fresh)
        return orthonormal(block)

    def eigenpairs(self, k: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """The k leading eigenpairs of H: θ (k,) and S (m, k).

        MRRR (LAPACK syevr of the whole spectrum) computes each vector to the accuracy of its own eigenvalue. Divide and
        conquer is accurate relative to the largest eigenvalue, which in float32 mixes vectors on both sides of the cut
        at k. MRRR vectors of a cluster may not be orthogonal: Cholesky orthogonalises them, and if vectors coincide,
        divide and conquer in float64 replaces them.
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
        """θ (k,) and S (m, k) of H, computed in `dtype` by one of LAPACK's drivers."""
        negated = self._negated().astype(dtype, copy=False)
        values, S = eigh(negated, lower=False, overwrite_a=True, check_finite=False, driver=driver)
        return (-values[:k]).astype(self._Q.dtype), S[:, :k].astype(self._Q.dtype, copy=False)

    def _negated(self) -> NDArray[Any]:
        """The upper triangle of −H (m, m). LAPACK sorts in ascending order, so the leading pairs of H come first."""
        H = np.zeros((self.m, self.m), dtype=self._Q.dtype, order="F")
        for rows, columns, block in self._H:
            np.negative(block, out=H[rows, columns])
        return H

    def gap(self, values: NDArray[Any], S: NDArray[Any], W: NDArray[Any]) -> float:
        """The estimated relative gap of energy. W (n, b) is the part of the last product outside Q."""
        last = slice(self._last, self.m)
        squares = np.einsum("ij,ij->j", S[last], (W.T @ W) @ S[last], dtype=np.float64)
        theta = values.astype(np.float64)
        quotients = self._H[-1][2].diagonal(self._before - self._last)
        # If k of 1.5k Ritz values include rounding errors, the rank of M is below k, because the start is random. These
        # values miss no energy.
        rounding = _ROUNDING * np.finfo(values.dtype).eps * theta[0]
        counted = theta > rounding
        distance = np.maximum(theta - quotients.mean(dtype=np.float64), rounding)[counted]
        return float(2 * np.sum(np.maximum(squares[counted], 0) / distance) / (theta.sum() + _TINY))
