"""The full-rank solution of the closed-form family: B(d) = I − C·dMat(d), C = A⁻¹, A = G + Λ (Eqs. 12, 13)."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edlae_sweeps.errors import SolverError
from edlae_sweeps.linalg import invert_upper, mirror_upper
from edlae_sweeps.methods.base import Vector
from edlae_sweeps.models import FullRank

_BLOCK = 256
# Time of the inverse in products of n×n×n, measured in float32 on two cores: .9 at n = 5,418, .55 at n = 20,108.
INVERSE_PRODUCTS = 0.7

# d (n,) from diag C and diag Λ.
Choose = Callable[[Vector, Vector], Vector]


def edlae_diagonal(diag_C: Vector, _penalty: Vector) -> Vector:
    """d of EDLAE, 1 ⊘ diag C: the diagonal of B is zero."""
    return 1 / diag_C


def solve_full_rank(gram: NDArray[Any], penalty: Vector, choose: Choose = edlae_diagonal) -> FullRank:
    """B(d) (n, n) for d = choose(diag C, diag Λ): by default EDLAE, or EASE if Λ = λI.

    Needs one array beside G: C is computed in a copy of it and becomes B there. Raises SolverError if A is singular to
    working precision.
    """
    return solve_with_diagonal(gram, penalty, choose)[0]


def solve_with_diagonal(gram: NDArray[Any], penalty: Vector, choose: Choose) -> tuple[FullRank, Vector]:
    """`solve_full_rank`, and diag C (n,)."""
    C = gram.copy()
    diag_C = invert_penalised(C, penalty)
    return full_rank_from(C, diag_C, choose(diag_C, penalty)), diag_C


def invert_penalised(a: NDArray[Any], penalty: Vector) -> Vector:
    """Replace the upper triangle of G in `a` (n, n) by that of C = (G + Λ)⁻¹, and return diag C.

    Below the diagonal `a` keeps G. Raises SolverError if A is singular to working precision.
    """
    np.einsum("ii->i", a)[:] += penalty
    try:
        invert_upper(a)
    except SolverError as error:
        remedy = "raise method.l2 or method.dropout" + (", or choose dtype=float64" if a.dtype == np.float32 else "")
        raise SolverError(f"G + Λ can't be inverted: {error}; {remedy}") from error
    return a.diagonal().astype(np.float64)


def full_rank_from(C: NDArray[Any], diag_C: Vector, d: Vector) -> FullRank:
    """B(d) (n, n) in the array of C, whose upper triangle is read."""
    mirror_upper(C)
    B = C
    B *= -d.astype(C.dtype)
    # In float64: in float32 the diagonal of EDLAE would be a rounding error instead of zero.
    np.einsum("ii->i", B)[:] = 1 - diag_C * d
    return FullRank(B, d)


def apply_inverse(full: FullRank, Y: NDArray[Any]) -> NDArray[Any]:
    """C Y (n, k) from B = I − C·dMat(d), d > 0, so that C need not be kept beside B."""
    scaled: NDArray[Any] = Y / full.d.astype(Y.dtype)[:, None]
    scaled -= full.B @ scaled
    return scaled


def row_blocks(n: int, size: int = _BLOCK) -> Iterator[slice]:
    """Slices of `size` rows that cover n rows, for temporaries of a few rows instead of n×n."""
    return (slice(start, min(start + size, n)) for start in range(0, n, size))
