"""Products with the factors of nested ranks."""

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edlae_sweeps.datasets import Gram


class NestedProducts:
    """M (n, n) as an operator that multiplies with Y (n, K) once: its products with Y[:, :k] are columns of MY.

    Other matrices are multiplied with as ever. Keeps MY, n·K numbers, from the first product on.
    """

    def __init__(self, matrix: Gram, Y: NDArray[Any]) -> None:
        self._matrix, self._Y = matrix, Y

    def diagonal(self) -> NDArray[Any]:
        """diag M (n,)."""
        return self._matrix.diagonal()

    def __matmul__(self, other: NDArray[Any], /) -> NDArray[Any]:
        """M times `other` (n, k), a new array."""
        k = other.shape[1]
        if np.array_equal(other, self._Y[:, :k]):
            return self._product[:, :k].copy()
        return self._matrix @ other

    @cached_property
    def _product(self) -> NDArray[Any]:
        return self._matrix @ self._Y
