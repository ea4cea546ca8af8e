"""The terms of the lower bound on Eq. 7, with the names of its proof in `certificate`."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edlae_sweeps.linalg import (
    Eigenpairs,
    Factor,
    add_outer,
    block_krylov,
    eigenvalues,
    leading_eigenpairs,
    uses_blocks,
)
from edlae_sweeps.methods.base import Vector
from edlae_sweeps.models.objective import row_sums

# Accuracy of the eigenvalues during the search.
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Planes:
    """The planes of b_j and c_j: the factor L, a and r (n,). A weight t (n,) ≥ 0 of each û_jû_jᵀ gives a bound."""

    factor: Factor
    a: Vector
    r: Vector

    @classmethod
    def of(cls, gram: NDArray[Any], penalty: Vector, dtype: Any) -> "Planes":
        """Factorise A in the type `dtype`."""
        factor = Factor(gram, penalty, dtype)
        a = gram.diagonal().astype(np.float64) + penalty
        r = a * factor.inverse_diagonal() - 1
        # The item has no user along with another one.
        r[r < 64 * np.finfo(dtype).eps] = 0
        return cls(factor, a, r)

    @property
    def D(self) -> Vector:  # noqa: N802 - a vector of the paper
        """1 ⊘ diag C (n,)."""
        return self.a / (1 + self.r)

    @property
    def worth(self) -> Vector:
        """a − D (n,), what an item of which nothing is captured adds to F."""
        return self.a * self.r / (1 + self.r)

    def cost(self, x: Vector, y: Vector) -> float:
        """Σ_j (a_j − D_j)(1 − y_j)·max(0, ψ_j(x_j/(1 − y_j)))."""
        left, mu = _split(x, y)
        return float((self.worth * left * (1 - mu) / (1 + self.r * mu)).sum())

    def slope(self, x: Vector, y: Vector) -> Vector:
        """t (n,), the derivative of −cost by x; 0 for an item that costs nothing."""
        left, mu = _split(x, y)
        return np.where((left > 0) & (mu < 1), self.worth * (1 + self.r) / (1 + self.r * mu) ** 2, 0.0)

    def offset(self, t: Vector) -> Vector:
        """s (n,): the minimum over 0 ≤ μ ≤ 1 of (a_j − D_j)ψ_j(μ) + t_jμ."""
        r, worth = self.r, self.worth
        # Where the derivative is zero: (1 + rμ)² = (a − D)(1 + r)/t.
        root = np.sqrt(np.divide(worth * (1 + r), t, out=np.full(len(t), np.inf), where=t > 0))
        mu = np.clip(np.divide(root - 1, r, out=np.zeros(len(t)), where=r > 0), 0, 1)
        least: Vector = worth * (1 - mu) / (1 + r * mu) + t * mu
        return least

    def eigenpairs(self, t: Vector, k: int) -> Eigenpairs:
        """The k leading eigenpairs of M = Σ_j t_jû_jû_jᵀ + s_jb̂_jb̂_jᵀ, roughly."""
        n, dtype = len(self.a), self.factor.L.dtype
        if not uses_blocks(n, k, TOLERANCE, dtype.itemsize):
            return leading_eigenpairs(self._sum(t), k, 0.0, overwrite=True)
        of_c, of_b = (weights.astype(dtype)[:, None] for weights in (self._scaled(t), self.offset(t) / self.a))
        a = self.a.astype(dtype)[:, None]

        def product(Y: NDArray[Any]) -> NDArray[Any]:
            on_b = self.factor.product(Y)
            on_u = of_c * (self.factor.transposed_solve(Y) - on_b / a)
            on_b *= of_b
            on_b -= on_u / a
            result = self.factor.solve(on_u)
            result += self.factor.transposed_product(on_b)
            return result

        return block_krylov(product, n, k, dtype, TOLERANCE)

    def captured(self, V: NDArray[Any]) -> tuple[Vector, Vector]:
        """x and y (n,) of X = VVᵀ."""
        V = np.asfortranarray(V)
        on_b, on_u = self.factor.product(V), self.factor.transposed_solve(V)
        y = row_sums(on_b, on_b) / self.a
        on_b /= self.a.astype(V.dtype)[:, None]
        on_u -= on_b
        x = self._scaled(row_sums(on_u, on_u))
        return np.clip(x, 0, 1), np.clip(y, 0, 1)

    def bound(self, t: Vector, k: int) -> float:
        """The bound on F, by all eigenvalues of an array."""
        return float(self.offset(t).sum() - eigenvalues(self._sum(t))[-k:].sum())

    def _scaled(self, values: Vector) -> Vector:
        """Values ⊘ ‖c_j − b_j/a_j‖² (n,); 0 where that is 0."""
        return np.divide(values * self.a, self.r, out=np.zeros(len(self.r)), where=self.r > 0)

    def _sum(self, t: Vector) -> NDArray[Any]:
        """M (n, n) in C order, its upper triangle alone.

        TTᵀ + Lᵀ·dMat(s ⊘ a)·L with T = (L⁻¹ − Lᵀ·dMat(1 ⊘ a))·dMat(√t/‖·‖).
        """
        L, dtype = self.factor.L, self.factor.L.dtype
        T = self.factor.solve(np.eye(len(L), dtype=dtype, order="F"))
        T -= L.T / self.a.astype(dtype)
        T *= np.sqrt(self._scaled(t)).astype(dtype)
        total = add_outer(T)
        np.multiply(L.T, np.sqrt(self.offset(t) / self.a).astype(dtype), out=T)
        return add_outer(T, total)


def _split(x: Vector, y: Vector) -> tuple[Vector, Vector]:
    """1 − y, and μ = x/(1 − y) up to 1, which it is where y = 1."""
    left = np.maximum(1 - y, 0)
    return left, np.minimum(np.divide(x, left, out=np.ones(len(x)), where=left > 0), 1)
