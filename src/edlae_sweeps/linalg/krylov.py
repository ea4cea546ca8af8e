"""Leading eigenpairs of a symmetric operator M (n, n) by a block Krylov method.

M is only multiplied with blocks of b columns. The basis Q (n, m) of span{Y, MY, M²Y, …} grows by b columns per step;
block Lanczos with full reorthogonalisation keeps it orthonormal (Golub & Underwood 1977) and yields H = QᵀMQ. The
leading eigenpairs (θ, S) of H give θ and V = QS. With the same products, the Krylov space contains the optimal
polynomial of M applied to Y; subspace iteration uses only a power.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike, NDArray

from edlae_sweeps.errors import SolverError
from edlae_sweeps.linalg.backend import Array, Backend, backend_for
from edlae_sweeps.linalg.looks import columns_ahead
from edlae_sweeps.linalg.orthonormal import normal

# Y (n, b) with contiguous columns → M Y, a new array.
Product = Callable[[Array], Array]

_SEED = 0
_TINY = 1e-30
# Eigenvalues below this multiple of machine epsilon, relative to the largest, count as rounding errors.
_ROUNDING = 8
# Time of the eigenpairs of H (m, m) in units of one m×m×m product, measured at m = 11,232 on two cores; 6 at m = 1,152.
EIGENPAIRS_PRODUCTS = 5.0
# Cost of reading M in each product with a block, in columns.
READING = 25
# Columns per step for an operator that is not an array.
NARROW = 16
# A look at the eigenpairs of H that takes no more than this share of a step is not worth foretelling.
_CHEAP = 0.02
# The number of columns at the first of the other looks, as a multiple of k.
_FIRST_LOOK = 2.3


@dataclass(frozen=True)
class Eigenpairs:
    """θ (k,), descending, orthonormal V (n, k), and how they were computed.

    gap    estimate of (Σθ* − Σθ) / Σθ*, the energy missed, or of the mean squared sine of the angles if that is larger
    steps  number of products with a block; 0 for a dense solver
    """

    values: NDArray[np.float64]
    vectors: Array
    gap: float
    steps: int


def block_width(k: int, narrow: bool = False) -> int:
    """b, the columns per step. Narrow blocks need fewer columns in total; wide blocks take less time per column.

    For an operator whose columns cost the same in any block, `narrow` is better: on a synthetic n = 99,795 at k = 200,
    752 columns in blocks of 16 did what took 864 in blocks of 32 and 1,152 in blocks of 64.
    """
    return NARROW if narrow else max(min(max(16, k // 2), 64), k // 16)


def basis_columns(n: int, k: int, narrow: bool = False) -> int:
    """The expected final number of columns of the basis, for which memory is allocated at the start."""
    if narrow:
        # More than most matrices need: memory that is not used is only reserved.
        return min(n, 4 * k + 5 * NARROW)
    return min(n, 5 * k // 2 + 5 * block_width(k) + 64)


def expected_columns(n: int, k: int) -> int:
    """The final number of columns of the basis that time estimates assume."""
    return min(n, int(_FIRST_LOOK * k) + 3 * block_width(k))


def block_workspace(n: int, k: int, itemsize: int, narrow: bool = False) -> int:
    """Peak bytes of `block_krylov` on the CPU: the basis, the blocks of H, and the temporaries of a step or of a look.

    A look needs the last block; then H with the vectors of its tridiagonal form, as many in float64, and S of them; or
    S and V. Not counted: a basis that outgrows its expected size, and what the solver of a GPU takes beyond this, about
    24 m² bytes, while it decomposes H as a whole in float64.
    """
    m, b = basis_columns(n, k, narrow), block_width(k, narrow)
    look = max(m * m * (itemsize + 8), n * k * itemsize) + m * k * itemsize
    return (n * m + 2 * b * m + n * b) * itemsize + max(3 * n * b * itemsize, look)


def block_krylov(
    product: Product,
    n: int,
    k: int,
    dtype: DTypeLike,
    tolerance: float,
    narrow: bool = False,
    backend: Backend | None = None,
) -> Eigenpairs:
    """The k leading eigenpairs of M (n, n), up to a relative gap of captured energy Σθ of `tolerance`.

    The gap is estimated from the residuals r_i = M v_i − θ_i v_i. To second order, one more step gains
    Σ‖r_i‖² / (θ_i − μ), where μ is the mean of the last block's Rayleigh quotients; a factor of two accounts for later
    steps. If M is an array, the mean squared sine of the vectors' angles to those of M, from ‖r_i‖² / (θ_i − μ)², has
    the same tolerance: a small share of the energy may be a large part of the last vectors.

    Flops: 2n²m for the products, 4nm² for orthogonalisation, 2nmk for V, and the eigenpairs of H; m is 2k to 3k.
    `narrow` is for an operator that is not an array (see `block_width`); `backend` is that of the arrays which
    `product` takes and returns, by default the CPU's. The random starting block is the same in every call.

    Raises SolverError if a basis of min(n, 8k + 32b) columns leaves a larger gap.
    """
    b = block_width(k, narrow)
    basis = Basis(n, basis_columns(n, k, narrow), min(n, 8 * k + 32 * b), dtype, backend or backend_for("cpu"))
    basis.start(b)
    steps, due = 0, _FIRST_LOOK * k
    looks: list[tuple[int, float]] = []
    while True:
        W = product(basis.last)
        steps += 1
        basis.project(W)
        m, full = basis.m, basis.m == basis.largest
        if full or m >= due or (m >= 1.5 * k and _is_cheap(n, m, b, narrow)):
            values, S = basis.eigenpairs(k)
            gap = 0.0 if m == n else basis.gap(values, S, W, angles=not narrow)
            if gap <= tolerance:
                return Eigenpairs(values, basis.Q @ S, gap, steps)
            if full:
                raise _unreached(f"{k} eigenpairs of {n} have a gap of {gap:.1e} after {m} vectors, not {tolerance:g}")
            if gap < 1:
                looks.append((steps, gap))
            # The next look needs the memory.
            del S
            due = m + columns_ahead(looks, tolerance, k, b, narrow)
        basis.append(basis.next_block(W))


def _unreached(found: str) -> SolverError:
    return SolverError(f"{found}: raise method.eig_tol, or set it to 0 for the dense eigensolver")


def _is_cheap(n: int, m: int, b: int, narrow: bool) -> bool:
    """True if the eigenpairs of H (m, m) take little time beside a step with b columns.

    Of a step of a narrow operator only the orthogonalisation is known, 4nmb flops.
    """
    if narrow:
        return 2 * EIGENPAIRS_PRODUCTS * m**3 <= 4 * n * m * b
    return EIGENPAIRS_PRODUCTS * (m / n) ** 3 <= _CHEAP * (b + READING) / n


class Basis:
    """Orthonormal Q (n, m), which grows by blocks, and H = QᵀMQ (m, m), which is block tridiagonal."""

    def __init__(self, n: int, expected: int, largest: int, dtype: DTypeLike, backend: Backend) -> None:
        self.largest = largest
        self._backend, self._dtype, self._random = backend, np.dtype(dtype), np.random.default_rng(_SEED)
        # First columns of the last block but one, of the last block, and of the next one.
        self._before, self._last, self.m = 0, 0, 0
        self._Q = backend.empty((n, expected), dtype)
        # For each block of columns of H: the non-zero rows down to the diagonal block.
        self._H: list[tuple[slice, slice, Array]] = []

    @property
    def Q(self) -> Array:  # noqa: N802 - a matrix
        """The basis (n, m), with contiguous columns."""
        return self._Q[:, : self.m]

    @property
    def last(self) -> Array:
        """The last block (n, b), a view of Q."""
        return self._Q[:, self._last : self.m]

    def start(self, b: int) -> None:
        """Begin with a random block (n, b), the same each time."""
        self.append(self._backend.orthonormal(self._normal(min(b, len(self._Q)))))

    def append(self, block: Array) -> None:
        """Append an orthonormal block that is orthogonal to Q."""
        self._before, self._last, self.m = self._last, self.m, self.m + block.shape[1]
        if self.m > self._Q.shape[1]:
            grown = min(self.largest, self.m + self.m // 4)
            self._Q, old = self._backend.empty((len(self._Q), grown), self._dtype), self._Q
            self._Q[:, : self._last] = old[:, : self._last]
        self.last[:] = block

    def project(self, W: Array) -> None:
        """Remove the components in the last two blocks from W = M·(last block), in place, and store them in H.

        Components in earlier blocks are rounding errors, because H is block tridiagonal.
        """
        now = slice(self._last, self.m)
        local = slice(self._before, self.m)
        within = self._Q[:, local].T @ W
        self._H.append((local, now, within))
        W -= self._Q[:, local] @ within

    def next_block(self, W: Array) -> Array:
        """An orthonormal basis of W that is orthogonal to Q. Overwrites W."""
        block = self._backend.orthonormal(W)[:, : self.largest - self.m]
        block -= self.Q @ (self.Q.T @ block)
        # Columns that lie in Q, because the Krylov space of the starting block is exhausted, become random ones.
        inside = np.flatnonzero(self._backend.norms(block) < 0.1).tolist()
        if inside:
            fresh = self._normal(len(inside))
            block[:, inside] = fresh - self.Q @ (self.Q.T @ fresh)
        return self._backend.orthonormal(block)

    def _normal(self, b: int) -> Array:
        """Standard normal numbers (n, b)."""
        return self._backend.array(normal(self._random, (len(self._Q), b), self._dtype))

    def eigenpairs(self, k: int) -> tuple[NDArray[np.float64], Array]:
        """The k leading eigenpairs of H: θ (k,) and S (m, k)."""
        H = self._backend.empty((self.m, self.m), self._dtype)
        H[:] = 0
        for rows, columns, block in self._H:
            H[rows, columns] = block
            H[columns, rows] = block.T
        return self._backend.small_eigenpairs(H, k)

    def gap(self, values: NDArray[np.float64], S: Array, W: Array, angles: bool) -> float:
        """The estimated relative gap of energy; if `angles`, at least the mean squared sine of the vectors' angles.

        W (n, b) is the part of the last product outside Q.
        """
        ends = self._backend.host(S[self._last : self.m])
        squares = np.einsum("ij,ij->j", ends, self._backend.host(W.T @ W) @ ends, dtype=np.float64)
        quotients = self._backend.diagonal(self._H[-1][2][self._last - self._before :])
        # If k of 1.5k Ritz values include rounding errors, the rank of M is below k, because the start is random. These
        # values miss no energy.
        rounding = _ROUNDING * np.finfo(self._dtype).eps * values[0]
        counted = values > rounding
        distance = np.maximum(values - quotients.mean(dtype=np.float64), rounding)[counted]
        missed = 2 * np.maximum(squares[counted], 0) / distance
        energy = float(missed.sum() / (values.sum() + _TINY))
        return max(energy, float(np.mean(missed / distance))) if angles and counted.any() else energy
