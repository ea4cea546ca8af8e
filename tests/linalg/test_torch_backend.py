"""What only the backend of PyTorch has: gradients, settings of the process, and bounds of memory."""

import sys
from collections.abc import Callable

import numpy as np
import pytest
from scipy.sparse import csr_array

from edlae_sweeps.errors import DeviceMemoryError
from edlae_sweeps.linalg.device import device_errors
from edlae_sweeps.resources import Resources

torch = pytest.importorskip("torch")

from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402 - not without torch

from edlae_sweeps.linalg import torch_spd  # noqa: E402
from edlae_sweeps.linalg.torch_backend import Torch  # noqa: E402
from edlae_sweeps.methods.neural import gradient  # noqa: E402

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


@pytest.mark.parametrize("device", ["cpu", "torch", "auto", "cuda"])
@pytest.mark.parametrize("sees", [True, False])
def test_networks_train_on_the_device_of_the_resources(device, sees, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: sees)
    expected = "cuda" if device == "cuda" or (device == "auto" and sees) else "cpu"
    assert gradient.place(Resources(torch.get_num_threads(), 2**40, device)).type == expected


def allocate(size: str, error: type[Exception], kept: list[object]) -> None:
    array = np.zeros(3)
    kept.append(sys._getframe())
    raise error(f"CUDA out of memory. Tried to allocate {size}. GPU 0 has a total capacity of {len(array)} GiB")


def test_a_full_device_is_one_line_and_frees_what_the_computation_held(monkeypatch):
    emptied, frames = [], []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append("array" not in frames[0].f_locals))
    with pytest.raises(DeviceMemoryError) as caught, device_errors():
        allocate("1.50 GiB", torch.cuda.OutOfMemoryError, frames)
    assert str(caught.value) == (
        "device=cuda: out of memory when it needed 1.50 GiB more: choose device=auto, a smaller rank or dtype=float32"
    )
    assert emptied == [True]


def test_libraries_of_cuda_without_workspace_are_a_full_device_too():
    with pytest.raises(DeviceMemoryError, match="out of memory: choose"), device_errors():
        raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")


@pytest.mark.parametrize("loaded", [True, False])
def test_other_errors_pass(loaded, monkeypatch):
    if not loaded:
        monkeypatch.delitem(sys.modules, "torch")
    with pytest.raises(RuntimeError, match="sizes differ"), device_errors():
        raise RuntimeError("sizes differ")
