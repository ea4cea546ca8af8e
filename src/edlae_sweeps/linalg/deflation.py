"""How many leading eigenpairs of Â to take out of conjugate gradients (see `conjugate`), and these pairs.

The cost is counted in products of Â with one column. With r pairs, c right-hand sides and the smallest eigenvalue μ:

    pairs        3r + 32, the columns of a block Krylov basis
    iterations   ½·(θ_r/μ)^½·ln(2/tolerance) for each right-hand side
    an iteration 1 + r·`deflating`, where `deflating` is the cost of one pair in the preconditioner

The eigenvalues beyond those of a first, small decomposition are taken to go on as a power of their number.
"""

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from edlae_sweeps.linalg.conjugate import Deflation, Inverse, column
from edlae_sweeps.linalg.krylov import block_krylov

# The first decomposition, and the numbers of pairs to choose from.
_FIRST = 32
_CHOICES = (0, 32, 64, 128, 256, 512, 1024)
# Share of the energy that the eigenpairs may miss: any orthonormal W with its Rayleigh quotients is a preconditioner.
_GAP = 1e-3


def deflated(inverse: Inverse, dtype: DTypeLike, columns: int, smallest: float, deflating: float, most: int) -> Inverse:
    """The same inverse with the number of pairs that is expected to be cheapest for `columns` right-hand sides.

    `smallest` is a lower bound > 0 of the eigenvalues of Â. At most `most` pairs, for which there is memory.
    """
    n = len(inverse.diagonal)
    most = min(most, n // 8)
    if most < _FIRST or columns < pairs_cost(_FIRST):
        return inverse

    def pairs(r: int) -> Deflation:
        found = block_krylov(inverse.scaled, n, r, dtype, _GAP, narrow=True)
        vectors = np.ascontiguousarray(found.vectors)
        vectors *= column(1 / np.sqrt(inverse.diagonal), vectors.dtype)
        return Deflation(vectors, found.values)

    first = pairs(_FIRST)
    r = choose_rank(first.values, columns, smallest, inverse.tolerance, deflating, most)
    if r == 0:
        return inverse
    return replace(inverse, deflation=first if r == _FIRST else pairs(r))


def choose_rank(
    values: NDArray[Any], columns: int, smallest: float, tolerance: float, deflating: float, most: int
) -> int:
    """The number of pairs with the least cost, from the first eigenvalues (32,), descending."""
    theta = np.maximum(values.astype(np.float64), smallest)
    fall = math.log(theta[7] / theta[-1]) / math.log(len(theta) / 8)

    def cost(r: int) -> float:
        # The largest eigenvalue that is left.
        left = theta[r] if r < len(theta) else max(smallest, theta[-1] * (len(theta) / r) ** fall)
        spent = 0.0 if r <= len(theta) else pairs_cost(r)
        return spent + columns * iterations(left / smallest, tolerance) * (1 + r * deflating)

    return min((r for r in _CHOICES if r <= most), key=cost)


def pairs_cost(r: int) -> float:
    """Products of Â with one column for r eigenpairs."""
    return 3 * r + 32


def iterations(condition: float, tolerance: float) -> float:
    """The bound of conjugate gradients for this condition number; real spectra take about half."""
    return max(1.0, 0.5 * math.sqrt(condition) * math.log(2 / tolerance))
