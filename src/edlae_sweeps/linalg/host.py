"""The backend of the CPU: NumPy, and LAPACK and BLAS through SciPy."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from edlae_sweeps.linalg import eigen_dense, orthonormal, small, spd, topk
from edlae_sweeps.linalg.parts import team
from edlae_sweeps.resources import blas_threads

# Rows of a Gram matrix that are made at once.
_ROWS = 2048


class Host:
    """Arrays of NumPy. See `Backend`."""

    name = "cpu"

    def array(self, values: NDArray[Any]) -> NDArray[Any]:
        return values

    def host(self, a: NDArray[Any]) -> NDArray[Any]:
        return a

    def empty(self, shape: tuple[int, int], dtype: DTypeLike) -> NDArray[Any]:
        return np.empty(shape, dtype=dtype, order="F")

    def square(self, n: int, dtype: DTypeLike) -> NDArray[Any]:
        return np.empty((n, n), dtype=dtype)

    def copy(self, a: NDArray[Any]) -> NDArray[Any]:
        return a.copy()

    def dtype(self, a: NDArray[Any]) -> np.dtype[Any]:
        return a.dtype

    def column(self, values: NDArray[Any], like: NDArray[Any]) -> NDArray[Any]:
        return values.astype(like.dtype)[:, None]

    def diagonal(self, a: NDArray[Any]) -> NDArray[np.float64]:
        return a.diagonal().astype(np.float64)

    def set_diagonal(self, a: NDArray[Any], values: NDArray[Any]) -> None:
        np.einsum("ii->i", a)[:] = values

    def each_block(self, n: int, work: Callable[[slice, slice], None]) -> None:
        with team(blas_threads()) as each:
            each(lambda block: work(*block), list(spd.upper_blocks(n)))

    def upper(self, a: NDArray[Any], rows: slice, columns: slice) -> NDArray[Any]:
        block = a[rows, columns]
        return np.triu(block) + np.triu(block, 1).T if rows == columns else block

    def lower(self, a: NDArray[Any], rows: slice, columns: slice) -> NDArray[Any]:
        return self.upper(a.T, rows, columns)

    def set_above(self, a: NDArray[Any], rows: slice, columns: slice, values: NDArray[Any]) -> None:
        spd.set_above(a, rows, columns, values)

    def row_sums(self, a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.float64]:
        sums: NDArray[np.float64] = np.einsum("ij,ij->i", a, b, dtype=np.float64)
        return sums

    def cross(self, a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.float64]:
        products: NDArray[np.float64] = a.T.astype(np.float64) @ b
        return products

    def norms(self, Y: NDArray[Any]) -> NDArray[np.float64]:
        norms: NDArray[np.float64] = np.linalg.norm(Y, axis=0).astype(np.float64)
        return norms

    def invert_upper(self, a: NDArray[Any]) -> None:
        spd.invert_upper(a)

    def solve_spd(self, a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.float64]:
        return spd.solve_spd(a, b)

    def outer(self, Y: NDArray[Any], out: NDArray[Any]) -> NDArray[Any]:
        products: NDArray[Any] = np.matmul(Y, Y.T, out=out)
        return products

    def symmetric_product(self, a: NDArray[Any], Y: NDArray[Any]) -> NDArray[Any]:
        # A symmetric matrix is its own transpose, and this is the order in which BLAS is quickest with few columns: it
        # takes half to two thirds of the time of symm. The result has contiguous columns.
        product: NDArray[Any] = np.matmul(np.ascontiguousarray(Y).T, a).T
        return product

    def upper_product(self, a: NDArray[Any], Y: NDArray[Any]) -> NDArray[Any]:
        return spd.upper_product(a, Y)

    def lower_product(self, a: NDArray[Any], diagonal: NDArray[Any], Y: NDArray[Any]) -> NDArray[Any]:
        return spd.lower_product(a, diagonal, Y)

    def orthonormal(self, Y: NDArray[Any]) -> NDArray[Any]:
        return orthonormal.orthonormal(Y)

    def small_eigenpairs(self, H: NDArray[Any], k: int) -> tuple[NDArray[np.float64], NDArray[Any]]:
        return small.small_eigenpairs(H, k)

    def eigenpairs(self, m: NDArray[Any], k: int, overwrite: bool) -> tuple[NDArray[np.float64], NDArray[Any]]:
        return eigen_dense.dense_eigenpairs(m, k, overwrite)

    def rows_product(self, X: Any, W: NDArray[Any]) -> NDArray[Any]:
        product: NDArray[Any] = X @ W
        return product

    def top_items(self, scores: NDArray[Any], depth: int) -> NDArray[np.int64]:
        return topk.top_items(scores, depth)

    def taken(self, scores: NDArray[Any], items: NDArray[np.int64]) -> NDArray[Any]:
        return np.take_along_axis(scores, items, axis=1)

    def gram(self, X: Any, dtype: DTypeLike) -> NDArray[Any]:
        by_item = X.T.tocsr()
        gram = np.empty((X.shape[1], X.shape[1]), dtype=dtype)
        for start in range(0, len(gram), _ROWS):
            # Into the result itself: each page of new memory that is touched takes as long as a copy.
            (by_item[start : start + _ROWS] @ X).toarray(out=gram[start : start + _ROWS])
        return gram

    def free_bytes(self) -> None:
        return None

    def peak_bytes(self) -> None:
        return None
