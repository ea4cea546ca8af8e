"""The full-rank solution of the closed-form family: B(d) = I − C·dMat(d), C = A⁻¹, A = G + Λ (Eqs. 12, 13)."""

from collections.abc import Callable

from edlae_sweeps.errors import SolverError
from edlae_sweeps.linalg import Array, backend_of
from edlae_sweeps.methods.base import Vector
from edlae_sweeps.models import FullRank

# Time of the inverse in products of n×n×n, measured in float32 on two cores: .9 at n = 5,418, .55 at n = 20,108.
INVERSE_PRODUCTS = 0.7

# d (n,) from diag C and diag Λ.
Choose = Callable[[Vector, Vector], Vector]


def edlae_diagonal(diag_C: Vector, _penalty: Vector) -> Vector:
    """d of EDLAE, 1 ⊘ diag C: the diagonal of B is zero."""
    return 1 / diag_C


def solve_full_rank(gram: Array, penalty: Vector, choose: Choose = edlae_diagonal) -> FullRank:
    """B(d) (n, n) for d = choose(diag C, diag Λ): by default EDLAE, or EASE if Λ = λI.

    Needs one array beside G: C is computed in a copy of it and becomes B there. Raises SolverError if A is singular to
    working precision.
    """
    return solve_with_diagonal(gram, penalty, choose)[0]


def solve_with_diagonal(gram: Array, penalty: Vector, choose: Choose) -> tuple[FullRank, Vector]:
    """`solve_full_rank`, and diag C (n,)."""
    C = backend_of(gram).copy(gram)
    diag_C = invert_penalised(C, penalty)
    return full_rank_into(C, C, diag_C, choose(diag_C, penalty)), diag_C


def invert_penalised(a: Array, penalty: Vector) -> Vector:
    """Replace the upper triangle of G in `a` (n, n) by that of C = (G + Λ)⁻¹, and return diag C.

    Below the diagonal `a` keeps G. Raises SolverError if A is singular to working precision.
    """
    backend = backend_of(a)
    backend.set_diagonal(a, backend.diagonal(a) + penalty)
    try:
        backend.invert_upper(a)
    except SolverError as error:
        wider = ", or choose dtype=float64" if a.itemsize == 4 else ""
        raise SolverError(f"G + Λ can't be inverted: {error}; raise method.l2 or method.dropout{wider}") from error
    return backend.diagonal(a)


def full_rank_into(out: Array, a: Array, diag_C: Vector, d: Vector) -> FullRank:
    """B(d) (n, n) in `out`, from C in the upper triangle of `a`, which may be the same array."""
    backend = backend_of(a)
    left = -backend.column(d, a)
    right = left.T

    def fill(rows: slice, columns: slice) -> None:
        block = backend.upper(a, rows, columns)
        below = (left[rows] * block).T
        out[rows, columns] = block * right[:, columns]
        out[columns, rows] = below

    backend.each_block(len(d), fill)
    # In float64: in float32 the diagonal of EDLAE would be a rounding error instead of zero.
    backend.set_diagonal(out, 1 - diag_C * d)
    return FullRank(out, d)


def apply_inverse(full: FullRank, Y: Array) -> Array:
    """C Y (n, k) from B = I − C·dMat(d), d > 0, so that C need not be kept beside B."""
    scaled: Array = Y / backend_of(Y).column(full.d, Y)
    scaled -= full.B @ scaled
    return scaled
