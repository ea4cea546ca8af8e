"""The full-rank solution of a member of the closed-form family, B = I − C·dMat(d), C = A⁻¹, A = G + Λ."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edlae_sweeps.errors import SolverError
from edlae_sweeps.linalg import invert_upper, mirror_upper
from edlae_sweeps.methods.base import FullRank, Vector

_BLOCK = 256
# Time of the inverse in products of n×n×n, as measured in float32 on two cores: .9 at n = 5,418, .55 at n = 20,108.
INVERSE_PRODUCTS = 0.7

# d (n,) from diag C.
Choose = Callable[[Vector], Vector]


@dataclass(frozen=True)
class Problem:
    """G (n, n), diag Λ (n,) and the full-rank solution: what a method needs that finds each rank on its own."""

    gram: NDArray[Any]
    penalty: Vector
    full: FullRank


def solve_edlae(gram: NDArray[Any], penalty: Vector) -> FullRank:
    """The full-rank EDLAE, B = I − C·dMat(1 ⊘ diag C) (Eq. 12); EASE where Λ = λI."""
    return solve_full_rank(gram, penalty, lambda diag_C: 1 / diag_C)


def solve_full_rank(gram: NDArray[Any], penalty: Vector, choose: Choose) -> FullRank:
    """B(d) (n, n) for d = choose(diag C): C is inverted and then turned into B in the same array.

    Raises SolverError when A is singular to working precision.
    """
    C = gram.copy()
    diag_C = invert_penalised(C, penalty)
    return from_inverse(C, diag_C, choose(diag_C))


def invert_penalised(gram: NDArray[Any], penalty: Vector) -> Vector:
    """Put C = (G + Λ)⁻¹ in place of the upper triangle of G, and return diag C; what is below the diagonal stays G.

    Raises SolverError when A is singular to working precision.
    """
    np.einsum("ii->i", gram)[:] += penalty
    try:
        invert_upper(gram)
    except SolverError as error:
        remedy = "raise method.l2 or method.dropout" + (", or choose dtype=float64" if gram.dtype == np.float32 else "")
        raise SolverError(f"G + Λ can't be inverted: {error}; {remedy}") from error
    return gram.diagonal().astype(np.float64)


def from_inverse(C: NDArray[Any], diag_C: Vector, d: Vector) -> FullRank:
    """B (n, n) in the array of C, of which the upper triangle is read."""
    mirror_upper(C)
    B = C
    B *= -d.astype(C.dtype)
    # In float64, lest the diagonal of EDLAE be the rounding error of float32 instead of zero.
    np.einsum("ii->i", B)[:] = 1 - diag_C * d
    return FullRank(B, d)


def apply_inverse(full: FullRank, Y: NDArray[Any]) -> NDArray[Any]:
    """C Y (n, k) from B = I − C·dMat(d), d > 0: C itself is not kept beside B."""
    scaled: NDArray[Any] = Y / full.d.astype(Y.dtype)[:, None]
    scaled -= full.B @ scaled
    return scaled


def row_blocks(n: int) -> Iterator[slice]:
    """Slices that cover n rows, for temporaries of a few rows instead of n×n."""
    return (slice(start, min(start + _BLOCK, n)) for start in range(0, n, _BLOCK))
