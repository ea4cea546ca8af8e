"""The backend of PyTorch: a GPU, or PyTorch's own BLAS and LAPACK on the CPU."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray

from edlae_sweeps.linalg import spd, torch_sparse, torch_spd, torch_topk
from edlae_sweeps.linalg.orthonormal import DEPENDENT
from edlae_sweeps.resources import Device

# Rows and columns of a block: wide enough on a GPU that its products, not their launches, take the time.
_GPU_BLOCK, _CPU_BLOCK = 1024, 512
# Numbers of an array that are copied to float64 at a time.
_WIDE = 2**22


class Torch:
    """Tensors of PyTorch on `device`, `cpu` or `cuda:0`. See `Backend`.

    block  rows and columns of the blocks that triangles are worked on in
    """

    def __init__(self, device: str) -> None:
        self._device = torch.device(device)
        self.block = _CPU_BLOCK if self._device.type == "cpu" else _GPU_BLOCK
        _exact_products()

    @property
    def name(self) -> str:
        if self._device.type == "cpu":
            return "cpu, PyTorch"
        return str(torch.cuda.get_device_name(self._device))

    def array(self, values: NDArray[Any]) -> torch.Tensor:
        _exact_products()
        return torch_sparse.tensor(values, self._device)

    def host(self, a: torch.Tensor) -> NDArray[Any]:
        values: NDArray[Any] = a.detach().cpu().numpy()
        return values

    def empty(self, shape: tuple[int, int], dtype: DTypeLike) -> torch.Tensor:
        return torch.empty(shape[::-1], dtype=torch_sparse.torch_type(dtype), device=self._device).T

    def square(self, n: int, dtype: DTypeLike) -> torch.Tensor:
        return torch.empty((n, n), dtype=torch_sparse.torch_type(dtype), device=self._device)

    def copy(self, a: torch.Tensor) -> torch.Tensor:
        return a.clone()

    def dtype(self, a: torch.Tensor) -> np.dtype[Any]:
        return np.dtype(torch_spd.type_name(a.dtype))

    def column(self, values: NDArray[Any], like: torch.Tensor) -> torch.Tensor:
        return torch.tensor(values, dtype=like.dtype, device=like.device)[:, None]

    def diagonal(self, a: torch.Tensor) -> NDArray[np.float64]:
        return _vector(a.diagonal())

    def set_diagonal(self, a: torch.Tensor, values: NDArray[Any]) -> None:
        a.diagonal().copy_(torch.tensor(values, dtype=a.dtype))

    def each_block(self, n: int, work: Callable[[slice, slice], None]) -> None:
        for rows, columns in spd.upper_blocks(n, self.block):
            work(rows, columns)

    def upper(self, a: torch.Tensor, rows: slice, columns: slice) -> torch.Tensor:
        block = a[rows, columns]
        return block.triu() + block.triu(1).T if rows == columns else block

    def lower(self, a: torch.Tensor, rows: slice, columns: slice) -> torch.Tensor:
        return self.upper(a.T, rows, columns)

    def set_above(self, a: torch.Tensor, rows: slice, columns: slice, values: torch.Tensor) -> None:
        block = a[rows, columns]
        if rows == columns:
            above = torch.ones_like(block, dtype=torch.bool).triu_(1)
            values = torch.where(above, values, block)
        block.copy_(values)

    def row_sums(self, a: torch.Tensor, b: torch.Tensor) -> NDArray[np.float64]:
        sums = [(a[rows].double() * b[rows]).sum(dim=1) for rows in _rows(len(a), a.shape[1])]
        return _vector(torch.cat(sums))

    def cross(self, a: torch.Tensor, b: torch.Tensor) -> NDArray[np.float64]:
        result = torch.zeros((a.shape[1], b.shape[1]), dtype=torch.float64, device=a.device)
        for rows in _rows(len(a), a.shape[1] + b.shape[1]):
            result.addmm_(a[rows].double().T, b[rows].double())
        return self.host(result)

    def norms(self, Y: torch.Tensor) -> NDArray[np.float64]:
        return _vector(torch.linalg.vector_norm(Y, dim=0))

    def invert_upper(self, a: torch.Tensor) -> None:
        _exact_products()
        torch_spd.invert_upper(a, self.block)

    def solve_spd(self, a: torch.Tensor, b: NDArray[Any]) -> NDArray[np.float64]:
        return _vector(torch_spd.solve_spd(a, self.column(b, a), self.block)[:, 0])

    def outer(self, Y: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        return torch.mm(Y, Y.T, out=out)

    def symmetric_product(self, a: torch.Tensor, Y: torch.Tensor) -> torch.Tensor:
        return a @ Y

    def upper_product(self, a: torch.Tensor, Y: torch.Tensor) -> torch.Tensor:
        return torch_spd.triangle_product(a, Y, self.block)

    def lower_product(self, a: torch.Tensor, diagonal: NDArray[Any], Y: torch.Tensor) -> torch.Tensor:
        return torch_spd.triangle_product(a.T, Y, self.block, self.column(diagonal, a)[:, 0])

    def orthonormal(self, Y: torch.Tensor) -> torch.Tensor:
        # Cholesky QR of the scaled columns, or Householder QR, as on the CPU. A column of zeros stays one.
        Y /= torch.linalg.vector_norm(Y, dim=0).clamp_min(torch.finfo(Y.dtype).tiny)
        L, info = torch.linalg.cholesky_ex(Y.T @ Y)
        if bool((info == 0) & (L.diagonal().min() > DEPENDENT)):
            return torch.linalg.solve_triangular(L.T, Y, upper=True, left=False)
        basis: torch.Tensor = torch.linalg.qr(Y).Q
        return basis

    def small_eigenpairs(self, H: torch.Tensor, k: int) -> tuple[NDArray[np.float64], torch.Tensor]:
        return _leading(H, k, "L")

    def eigenpairs(self, m: torch.Tensor, k: int, overwrite: bool) -> tuple[NDArray[np.float64], torch.Tensor]:
        # PyTorch copies M in any case.
        del overwrite
        return _leading(m, k, "U")

    def rows_product(self, X: Any, W: torch.Tensor) -> torch.Tensor:
        return torch_sparse.rows_product(X, W)

    def top_items(self, scores: torch.Tensor, depth: int) -> NDArray[np.int64]:
        return self.host(torch_topk.top_items(scores, depth))

    def taken(self, scores: torch.Tensor, items: NDArray[np.int64]) -> NDArray[Any]:
        return self.host(scores.gather(1, torch.from_numpy(items).to(scores.device)))

    def gram(self, X: Any, dtype: DTypeLike) -> torch.Tensor:
        return torch_sparse.gram(X, dtype, self._device)

    def free_bytes(self) -> int | None:
        if self._device.type == "cpu":
            return None
        # What PyTorch has freed and keeps counts too.
        cached = torch.cuda.memory_reserved(self._device) - torch.cuda.memory_allocated(self._device)
        return int(torch.cuda.mem_get_info(self._device)[0] + cached)

    def peak_bytes(self) -> int | None:
        return None if self._device.type == "cpu" else int(torch.cuda.max_memory_allocated(self._device))


def torch_device(device: Device) -> torch.device:
    """PyTorch's name of a settled `Resources.device`: of the GPUs, the process's current one."""
    return torch.device("cuda", torch.cuda.current_device()) if device == "cuda" else torch.device("cpu")


def sees_gpu() -> bool:
    """Whether PyTorch sees a GPU."""
    return bool(torch.cuda.is_available())


def _exact_products() -> None:
    """Keep products of float32 in float32, whatever the process has set, for all of PyTorch.

    TF32 has 10 bits of mantissa. The inverse, the difference G − C and the eigenpairs lose with it what the metrics are
    compared by. The algorithms multiply by `@`, so no setting around single products would reach them.
    """
    torch.set_float32_matmul_precision("highest")


def _vector(values: torch.Tensor) -> NDArray[np.float64]:
    """A copy (n,) on the host."""
    copied: NDArray[np.float64] = values.to("cpu", torch.float64, copy=True).numpy()
    return copied


def _rows(n: int, width: int) -> Iterator[slice]:
    """Slices that cover n rows of `width` numbers, each of about `_WIDE` numbers."""
    step = max(1, _WIDE // max(1, width))
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


def _leading(a: torch.Tensor, k: int, triangle: str) -> tuple[NDArray[np.float64], torch.Tensor]:
    """The k leading eigenpairs θ (k,), descending, and V in the type of `a`, from one triangle, in float64.

    Divide and conquer is accurate relative to the largest eigenvalue alone: float32 would mix vectors at the cut.
    """
    spd.check_finite(*(float(extreme) for extreme in torch.aminmax(a)))
    try:
        values, vectors = torch.linalg.eigh(a.double(), UPLO=triangle)
    except torch.linalg.LinAlgError as error:
        raise spd.unsolved(error) from None
    return _vector(values[-k:].flip(0)), vectors[:, -k:].flip(1).to(a.dtype).contiguous()
