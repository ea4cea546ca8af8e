"""G and C = A⁻¹, A = G + Λ, as products: what the low-rank step needs of a member of the family.

    M_β Y = (1+β)∘G((1+β)∘Y) + rest∘Y + d∘C(d∘Y),   rest = (1+β)²∘Λ − 2d∘(1+β)
    U     = (1+β)∘V − C(d∘V)

Two things supply the products: the two triangles of one array (`in_place`), and X with conjugate gradients
(`by_products`).
"""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edlae_sweeps.linalg import Product, column
from edlae_sweeps.methods.base import Vector


class Operators(Protocol):
    """Products with G and C; Y and the results, new arrays, are (n, b)."""

    def gram(self, Y: NDArray[Any]) -> NDArray[Any]:
        """GY."""
        ...

    def inverse(self, Y: NDArray[Any]) -> NDArray[Any]:
        """CY."""
        ...


def metric_product(operators: Operators, penalty: Vector, d: Vector, beta: Vector) -> Product:
    """Y → M_β Y."""
    # In float64, since it cancels.
    rest = (1 + beta) ** 2 * penalty - 2 * d * (1 + beta)

    def product(Y: NDArray[Any]) -> NDArray[Any]:
        grow, weights = column(1 + beta, Y.dtype), column(d, Y.dtype)
        result = operators.gram(grow * Y)
        result *= grow
        result += column(rest, Y.dtype) * Y
        result += weights * operators.inverse(weights * Y)
        return result

    return product


def encoder(operators: Operators, d: Vector, beta: Vector, V: NDArray[Any]) -> NDArray[Any]:
    """U (n, k) from V (n, k)."""
    # In the order that BLAS takes without a copy.
    weighted = operators.inverse(np.multiply(column(d, V.dtype), V, order="F"))
    U: NDArray[Any] = column(1 + beta, V.dtype) * V
    U -= weighted
    return U
