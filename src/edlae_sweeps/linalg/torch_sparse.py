"""Products of sparse matrices of SciPy on a device."""

import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from scipy.sparse import csr_array

# Bytes of a dense block at a time.
_DENSE_BYTES = 256 * 1024**2


def tensor(values: NDArray[Any], device: torch.device) -> torch.Tensor:
    """The values on the device; on the CPU in the same memory if they are writable, since tensors always are."""
    if values.flags.writeable:
        return torch.from_numpy(values).to(device)
    # By rows, so that the host has no second copy of a large array.
    result = torch.empty(values.shape, dtype=torch_type(values.dtype), device=device)
    rows = max(1, _DENSE_BYTES // max(1, values[:1].nbytes))
    for start in range(0, len(values), rows):
        result[start : start + rows] = torch.from_numpy(values[start : start + rows].copy())
    return result


def torch_type(dtype: DTypeLike) -> torch.dtype:
    """PyTorch's name of a type of NumPy."""
    return torch.from_numpy(np.empty(0, dtype=dtype)).dtype


def rows_product(X: csr_array, W: torch.Tensor) -> torch.Tensor:
    """XW (b, k) of sparse rows X (b, n), with a gradient for W (n, k).

    It sums rows of W: on debian (n = 5,418, 500 users of 10 items, k = 400, two cores) 1.3 ms with its gradient; 25 ms
    if X is made dense first.
    """
    indices, offsets, values = (tensor(part, W.device) for part in (X.indices, X.indptr[:-1], X.data))
    return torch.nn.functional.embedding_bag(indices, W, offsets, mode="sum", per_sample_weights=values.to(W.dtype))


def gram(X: Any, dtype: DTypeLike, device: torch.device) -> torch.Tensor:
    """XᵀX (n, n) of a sparse X (m, n) of SciPy; exact for counts up to 2²⁴, and symmetric to the last bit.

    By blocks of items J: Xᵀ as sparse rows, down to the last item of J, times X[:, J], dense; then its mirror image.
    """
    columns = csr_array(X, dtype=dtype).tocsc()
    columns.sum_duplicates()
    m, n = columns.shape
    starts, users, values = (tensor(part, device) for part in (columns.indptr, columns.indices, columns.data))
    # Of X[:, J] (m, width) and the product (n, width), the taller one.
    width = max(1, min(n, _DENSE_BYTES // max(1, max(m, n) * columns.dtype.itemsize)))
    result = torch.empty((n, n), dtype=values.dtype, device=device)
    for first in range(0, n, width):
        J = slice(first, min(first + width, n))
        begin, end = int(columns.indptr[J.start]), int(columns.indptr[J.stop])
        counts = starts[J.start : J.stop + 1].diff()
        items = torch.arange(len(counts), device=device).repeat_interleave(counts)
        dense = torch.zeros((m, len(counts)), dtype=values.dtype, device=device)
        dense[users[begin:end].long(), items] = values[begin:end]
        product = _csr(starts[: J.stop + 1], users[:end], values[:end], m) @ dense
        result[: J.start, J] = product[: J.start]
        result[J, : J.start] = product[: J.start].T
        square = product[J]
        result[J, J] = square.triu() + square.triu(1).T
    return result


def _csr(starts: torch.Tensor, columns: torch.Tensor, values: torch.Tensor, width: int) -> torch.Tensor:
    """A sparse matrix (rows, width) of PyTorch in these arrays."""
    with warnings.catch_warnings():
        # PyTorch calls sparse matrices a beta.
        warnings.simplefilter("ignore", UserWarning)
        return torch.sparse_csr_tensor(starts, columns, values, size=(len(starts) - 1, width))
