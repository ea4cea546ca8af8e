"""Where dense arrays live and are computed with: NumPy and LAPACK on the CPU, or PyTorch on a device.

An algorithm is written once. It takes slices, `@` and in-place arithmetic, which both kinds of arrays have, from the
arrays, and all else from the backend that `backend_of` finds for them. Vectors (n,) are NumPy's, in float64.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from edlae_sweeps.resources import Device

# An array of NumPy, or a tensor of PyTorch on a device.
Array = Any


class Backend(Protocol):
    """Operations on the arrays of one device. Matrices are (rows, columns)."""

    @property
    def name(self) -> str:
        """cpu, or what the device calls itself."""
        ...

    def array(self, values: NDArray[Any]) -> Array:
        """The values on the device: the same memory if they are there already."""
        ...

    def host(self, a: Array) -> NDArray[Any]:
        """The values as an array of NumPy: the same memory if they are there already."""
        ...

    def empty(self, shape: tuple[int, int], dtype: DTypeLike) -> Array:
        """An array whose columns are contiguous."""
        ...

    def square(self, n: int, dtype: DTypeLike) -> Array:
        """An array (n, n) whose rows are contiguous."""
        ...

    def copy(self, a: Array) -> Array:
        """A copy in new memory."""
        ...

    def dtype(self, a: Array) -> np.dtype[Any]:
        """Its floating-point type, as NumPy names it."""
        ...

    def column(self, values: NDArray[Any], like: Array) -> Array:
        """(n, 1) in the type of `like`, to scale rows by."""
        ...

    def diagonal(self, a: Array) -> NDArray[np.float64]:
        """The diagonal (n,), copied."""
        ...

    def set_diagonal(self, a: Array, values: NDArray[Any]) -> None:
        """Write the diagonal."""
        ...

    def each_block(self, n: int, work: Callable[[slice, slice], None]) -> None:
        """Call `work` with rows and columns of every square block on and above the diagonal of an (n, n) array.

        Calls may run at the same time.
        """
        ...

    def upper(self, a: Array, rows: slice, columns: slice) -> Array:
        """A block of the symmetric matrix that is stored in the upper triangle of `a`, which includes the diagonal."""
        ...

    def lower(self, a: Array, rows: slice, columns: slice) -> Array:
        """The same of the symmetric matrix in the lower triangle, for a block above the diagonal."""
        ...

    def set_above(self, a: Array, rows: slice, columns: slice, values: Array) -> None:
        """Write `values` to an upper block (rows, columns); in a diagonal block, only above the diagonal."""
        ...

    def row_sums(self, a: Array, b: Array) -> NDArray[np.float64]:
        """diag(a bᵀ) (n,) of two (n, k), accumulated in float64."""
        ...

    def cross(self, a: Array, b: Array) -> NDArray[np.float64]:
        """aᵀb (j, k) of (n, j) and (n, k), accumulated in float64."""
        ...

    def norms(self, Y: Array) -> NDArray[np.float64]:
        """The Euclidean norms (b,) of the columns of Y (n, b)."""
        ...

    def invert_upper(self, a: Array) -> None:
        """Replace the upper triangle of a symmetric positive definite A (n, n) by that of A⁻¹, and keep the lower one.

        Raises SolverError if A has entries that are not finite or is singular to working precision.
        """
        ...

    def solve_spd(self, a: Array, b: NDArray[Any]) -> NDArray[np.float64]:
        """x (n,) with Ax = b for a symmetric positive definite A (n, n), from its upper triangle. Overwrites `a`.

        Raises SolverError if A is not positive definite.
        """
        ...

    def outer(self, Y: Array, out: Array) -> Array:
        """YYᵀ (n, n) of Y (n, k), in `out`."""
        ...

    def symmetric_product(self, a: Array, Y: Array) -> Array:
        """AY (n, b) for a symmetric A (n, n) stored in full."""
        ...

    def upper_product(self, a: Array, Y: Array) -> Array:
        """SY (n, b) for the symmetric S (n, n) stored in the upper triangle of `a`."""
        ...

    def lower_product(self, a: Array, diagonal: NDArray[Any], Y: Array) -> Array:
        """The same for an S stored below the diagonal of `a`, with its diagonal in `diagonal` (n,)."""
        ...

    def orthonormal(self, Y: Array) -> Array:
        """An orthonormal basis (n, b) of the columns of Y (n, b). Overwrites Y."""
        ...

    def small_eigenpairs(self, H: Array, k: int) -> tuple[NDArray[np.float64], Array]:
        """The k leading eigenpairs θ (k,), descending, and S (m, k) of a symmetric H (m, m).

        H has contiguous columns and is stored in full; it may be overwritten. Raises SolverError if it has entries that
        are not finite, or the solver does not converge.
        """
        ...

    def eigenpairs(self, m: Array, k: int, overwrite: bool) -> tuple[NDArray[np.float64], Array]:
        """The same of an array M (n, n), with V (n, k), by a dense solver; it may overwrite M if `overwrite`."""
        ...

    def rows_product(self, X: Any, W: Array) -> Array:
        """XW (b, k) of sparse rows X (b, n) and W (n, k)."""
        ...

    def top_items(self, scores: Array, depth: int) -> NDArray[np.int64]:
        """The `depth` best items of each row of (users, n), best first; ties go to the lower item index."""
        ...

    def taken(self, scores: Array, items: NDArray[np.int64]) -> NDArray[Any]:
        """The scores (users, depth) of these columns of each row."""
        ...

    def gram(self, X: Any, dtype: DTypeLike) -> Array:
        """XᵀX (n, n) of a sparse X (m, n)."""
        ...

    def free_bytes(self) -> int | None:
        """Bytes that are free on the device; None on the CPU."""
        ...

    def peak_bytes(self) -> int | None:
        """The most bytes that arrays have taken on the device so far; None on the CPU."""
        ...


def backend_of(a: Array) -> Backend:
    """The backend of an array. What is no tensor of PyTorch is the CPU's, products without an array too."""
    device = getattr(a, "device", "cpu")
    return _backend("cpu" if isinstance(device, str) else f"torch:{device}")


def backend_for(device: Device) -> Backend:
    """The backend of a settled `Resources.device`."""
    if device == "cpu":
        return _backend("cpu")
    # PyTorch is an extra.
    from edlae_sweeps.linalg.torch_backend import torch_device

    return _backend(f"torch:{torch_device(device)}")


@cache
def _backend(name: str) -> Backend:
    if name == "cpu":
        from edlae_sweeps.linalg.host import Host

        return Host()
    # PyTorch is an extra.
    from edlae_sweeps.linalg.torch_backend import Torch

    backend: Backend = Torch(name.removeprefix("torch:"))
    return backend
