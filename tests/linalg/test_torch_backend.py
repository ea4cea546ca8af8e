"""What only the backend of PyTorch has: gradients, settings of the process, and bounds of memory."""

import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array

from edlae_sweeps.errors import DeviceMemoryError
from edlae_sweeps.linalg import backend_for, block_krylov
from edlae_sweeps.linalg.device import device_errors, with_fallback
from edlae_sweeps.resources import Resources

torch = pytest.importorskip("torch")

from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402 - not without torch

from edlae_sweeps.linalg import torch_backend, torch_sparse, torch_spd  # noqa: E402 - not without torch
from edlae_sweeps.methods.neural import gradient  # noqa: E402 - not without torch

Torch = torch_backend.Torch

pytestmark = pytest.mark.torch


class NewTensors(TorchDispatchMode):
    """All tensors that operations return within the block."""

    def __init__(self) -> None:
        super().__init__()
        self.tensors: list[torch.Tensor] = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        parts = result if isinstance(result, tuple | list) else [result]
        self.tensors += [part for part in parts if isinstance(part, torch.Tensor)]
        return result


def largest_new(work: Callable[[], object], a: "torch.Tensor") -> int:
    """Bytes of the largest tensor that `work` makes beside `a`."""
    with NewTensors() as made:
        work()
    storages = [tensor.untyped_storage() for tensor in made.tensors]
    return max(storage.nbytes() for storage in storages if storage.data_ptr() != a.data_ptr())


def test_the_inverse_needs_panels_beside_the_matrix():
    n, block = 400, 20
    a = torch.eye(n) + 1 / n
    assert largest_new(lambda: torch_spd.invert_upper(a, block), a) <= block * n * a.itemsize
    assert largest_new(lambda: torch_spd.solve_spd(a, a[:, :1].clone(), block), a) <= block * n * a.itemsize


def test_products_of_float32_stay_in_float32():
    before = torch.get_float32_matmul_precision()
    try:
        backend = Torch("cpu")
        for call in (
            lambda: backend.array(np.eye(3)),
            lambda: backend.invert_upper(torch.eye(3)),
            lambda: Torch("cpu"),
        ):
            torch.set_float32_matmul_precision("medium")
            call()
            assert torch.get_float32_matmul_precision() == "highest"
            assert not torch.backends.cuda.matmul.allow_tf32
    finally:
        torch.set_float32_matmul_precision(before)


def test_sums_of_rows_have_a_gradient():
    X = csr_array(np.array([[0, 2, 0], [0, 0, 0], [1, 0, 3]], np.float32))
    W = torch.ones((3, 2), requires_grad=True)
    Torch("cpu").rows_product(X, W).sum().backward()
    assert W.grad.tolist() == [[1, 1], [2, 2], [3, 3]]


@pytest.mark.parametrize(("device", "expected"), [("cpu", "cpu"), ("torch", "cpu"), ("cuda", "cuda:1")])
def test_networks_train_on_the_device_of_the_resources(device, expected, monkeypatch):
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    assert str(gradient.place(Resources(torch.get_num_threads(), 2**40, device))) == expected


def test_the_gpu_is_the_current_one_of_the_process(monkeypatch):
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    assert str(backend_for("cuda")._device) == "cuda:1"


@pytest.mark.parametrize("shape", [(3, 900), (900, 30)])
def test_the_gram_matrix_needs_blocks_of_bounded_size_beside_it(shape, monkeypatch):
    monkeypatch.setattr(torch_sparse, "_DENSE_BYTES", 20_000)
    X = csr_array(np.ones(shape, np.float32))
    n = shape[1]
    # The result is larger than a block only at the larger n.
    with NewTensors() as made:
        torch_sparse.gram(X, "float32", torch.device("cpu"))
    storages = [tensor.untyped_storage() for tensor in made.tensors if tensor.layout == torch.strided]
    sizes = {storage.data_ptr(): storage.nbytes() for storage in storages}
    assert sum(size > max(20_000, 8 * X.nnz) for size in sizes.values()) == (n == 900)


def test_eigenpairs_of_h_are_made_where_the_products_are(monkeypatch):
    """H is never copied to the host, and its blocks aren't either."""
    copied: list[tuple[int, ...]] = []
    host = Torch.host
    monkeypatch.setattr(Torch, "host", lambda self, a: (copied.append(tuple(a.shape)), host(self, a))[1])
    theta = torch.arange(1, 601, dtype=torch.float64)[:, None] ** -2
    pairs = block_krylov(lambda Y: theta * Y, 600, 20, "float64", 1e-8, backend=backend_for("torch"))
    np.testing.assert_allclose(pairs.values, np.arange(1, 21.0) ** -2, rtol=1e-6)
    assert {shape for shape in copied if len(shape) == 2} == {(16, 16), (16, 20)}


def allocate(size: str, error: type[Exception], kept: list[object]) -> None:
    array = np.zeros(3)
    kept.append(sys._getframe())
    raise error(f"CUDA out of memory. Tried to allocate {size}. GPU 0 has a total capacity of {len(array)} GiB")


def test_a_full_device_is_one_line_and_frees_what_the_computation_held(monkeypatch):
    emptied, frames = [], []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append("array" not in frames[0].f_locals))
    with pytest.raises(DeviceMemoryError) as caught, device_errors():
        allocate("1.50 GiB", torch.cuda.OutOfMemoryError, frames)
    assert str(caught.value) == "out of memory on the GPU when it needed 1.50 GiB more"
    assert emptied == [True]


@pytest.mark.parametrize(
    "text",
    [
        "CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported",
        "CUDA driver error: out of memory",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`",
        "cusolver error: CUSOLVER_STATUS_ALLOC_FAILED, when calling `cusolverDnXsyevd(...)`",
        "cusolver error: CUSOLVER_STATUS_INTERNAL_ERROR, when calling `cusolverDnCreate(handle)`",
        "CUDA error: CUSPARSE_STATUS_INSUFFICIENT_RESOURCES when calling `cusparseSpMM(...)`",
    ],
)
def test_what_cuda_says_without_memory_is_a_full_device_too(text):
    with pytest.raises(DeviceMemoryError, match=r"^out of memory on the GPU$"), device_errors():
        raise RuntimeError(text)


@pytest.mark.parametrize("loaded", [True, False])
@pytest.mark.parametrize(
    "text", ["sizes differ", "cusolver error: CUSOLVER_STATUS_INTERNAL_ERROR, when calling `cusolverDnSgetrf(...)`"]
)
def test_other_errors_pass(text, loaded, monkeypatch):
    if not loaded:
        monkeypatch.delitem(sys.modules, "torch")
    with pytest.raises(RuntimeError) as caught, device_errors():
        raise RuntimeError(text)
    assert str(caught.value) == text


def test_what_a_failure_leaves_is_released_before_the_error_or_the_cpu(caplog):
    events: list[str] = []

    def work(resources: Resources) -> str:
        events.append(resources.device)
        if resources.device == "torch":
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.50 GiB. GPU 0 is full")
        return "done"

    def released() -> None:
        events.append("released")

    there = Resources(2, 2**40, "torch")
    with pytest.raises(DeviceMemoryError) as caught:
        with_fallback(there, lambda resources: with_fallback(resources, work, released), released)
    fact = "out of memory on the GPU when it needed 1.50 GiB more"
    assert str(caught.value) == f"device=cuda: {fact}: choose device=auto or a smaller rank"
    assert events == ["torch", "released", "released"]
    events.clear()
    assert with_fallback(replace(there, may_fall_back=True), work, released) == "done"
    assert events == ["torch", "released", "cpu"]
    assert caplog.messages == [f"{fact}; the CPU takes over"]
