"""G and C = A⁻¹, A = G + Λ, as products: what the low-rank step needs of a member of the family.

    M_β Y = (1+β)∘G((1+β)∘Y) + rest∘Y + d∘C(d∘Y),   rest = (1+β)²∘Λ − 2d∘(1+β)
    U     = (1+β)∘V − C(d∘V)

Two things supply the products: the two triangles of one array (`in_place`), and X with conjugate gradients
(`by_products`).
"""

from typing import Protocol

from edlae_sweeps.linalg import Array, Product, backend_of
from edlae_sweeps.methods.base import Vector


class Operators(Protocol):
    """Products with G and C; Y and the results, new arrays, are (n, b)."""

    def gram(self, Y: Array) -> Array:
        """GY."""
        ...

    def inverse(self, Y: Array) -> Array:
        """CY."""
        ...


def metric_product(operators: Operators, penalty: Vector, d: Vector, beta: Vector) -> Product:
    """Y → M_β Y."""
    rest = metric_rest(penalty, d, beta)

    def product(Y: Array) -> Array:
        column = backend_of(Y).column
        grow, weights = column(1 + beta, Y), column(d, Y)
        result = operators.gram(grow * Y)
        result *= grow
        result += column(rest, Y) * Y
        result += weights * operators.inverse(weights * Y)
        return result

    return product


def metric_rest(penalty: Vector, d: Vector, beta: Vector) -> Vector:
    """(1+β)²∘Λ − 2d∘(1+β) (n,), in float64, since it cancels."""
    rest: Vector = (1 + beta) ** 2 * penalty - 2 * d * (1 + beta)
    return rest


def encoder(operators: Operators, d: Vector, beta: Vector, V: Array) -> Array:
    """U (n, k) from V (n, k)."""
    column = backend_of(V).column
    weighted = operators.inverse(column(d, V) * V)
    U: Array = column(1 + beta, V) * V
    U -= weighted
    return U
