"""The device of a computation: which there is, what it holds, and the CPU where that is too little."""

import logging
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from edlae_sweeps.errors import ConfigError, DeviceMemoryError, MissingExtra
from edlae_sweeps.linalg.backend import Array, backend_for, backend_of
from edlae_sweeps.resources import Device, Resources

_log = logging.getLogger(__name__)
Result = TypeVar("Result")
# What CUDA and its libraries say when they get no memory, for their own workspace for example.
_FULL = re.compile(
    r"CUDA (driver )?error: out of memory|STATUS_ALLOC_FAILED|STATUS_INSUFFICIENT_RESOURCES"
    r"|CUSOLVER_STATUS_INTERNAL_ERROR.*cusolverDnCreate|CUBLAS_STATUS_NOT_INITIALIZED.*cublasCreate"
)
_REMEDY = ": choose device=auto or a smaller rank"


def check_device(device: Device) -> None:
    """Raise MissingExtra or ConfigError if this installation or machine has no such device."""
    if device not in ("cuda", "torch"):
        return
    if find_spec("torch") is None:
        raise MissingExtra(f"device={device} needs PyTorch, an extra: pip install 'edlae_sweeps[torch]'")
    if device == "cuda" and not has_cuda():
        raise ConfigError("device=cuda: PyTorch sees no such device here; choose device=cpu or device=auto")


def settle(resources: Resources) -> Resources:
    """The same resources with `auto` replaced by what is here, and with the free memory of a GPU."""
    if resources.device == "auto":
        device: Device = "cuda" if has_cuda() else "cpu"
        resources = replace(resources, device=device, may_fall_back=device != "cpu")
    if resources.device_memory is not None or resources.device == "cpu":
        return resources
    return replace(resources, device_memory=backend_for(resources.device).free_bytes())


def on_cpu(resources: Resources) -> Resources:
    """The same resources without a GPU."""
    return replace(resources, device="cpu", device_memory=None)


def with_fallback(
    resources: Resources, work: Callable[[Resources], Result], release: Callable[[], None] | None = None
) -> Result:
    """`work` with settled resources; on the CPU if a GPU is too small and `device` is auto.

    `release` is called first, to let go of what the work leaves on the device, damaged perhaps. Raises
    DeviceMemoryError if the GPU is too small and the CPU may not take over.
    """
    try:
        with device_errors():
            return work(resources)
    except DeviceMemoryError as error:
        if release is not None:
            release()
        if not resources.may_fall_back:
            # Calls may be nested.
            told = str(error).endswith(_REMEDY)
            raise error if told else DeviceMemoryError(f"device=cuda: {error}{_REMEDY}") from None
        _log.warning("%s; the CPU takes over", error)
    return work(on_cpu(resources))


@cache
def has_cuda() -> bool:
    """Whether PyTorch is installed and sees a GPU."""
    if find_spec("torch") is None:
        return False
    # PyTorch is an extra.
    from edlae_sweeps.linalg.torch_backend import sees_gpu

    return sees_gpu()


@contextmanager
def device_errors() -> Iterator[None]:
    """Turn PyTorch's out-of-memory error into a DeviceMemoryError, and give the memory that it caches back.

    The arrays of the functions that failed are released too, so that the caller can go on, on the CPU for example.
    """
    try:
        yield
    except RuntimeError as error:
        # Without PyTorch in the process there is no such error, and importing it takes seconds.
        torch = sys.modules.get("torch")
        if torch is None or not _is_out_of_memory(torch, error):
            raise
        tried = re.search(r"Tried to allocate ([\d.]+ \w+)", str(error))
        amount = f" when it needed {tried[1]} more" if tried else ""
        # The traceback holds every local variable of the functions that failed.
        traceback.clear_frames(error.__traceback__)
        torch.cuda.empty_cache()
        raise DeviceMemoryError(f"out of memory on the GPU{amount}") from None


def _is_out_of_memory(torch: Any, error: RuntimeError) -> bool:
    return isinstance(error, torch.cuda.OutOfMemoryError) or _FULL.search(str(error)) is not None


class Operator:
    """An array (n, n) on a device, which multiplies with arrays of NumPy."""

    def __init__(self, matrix: Array) -> None:
        self._matrix, self._backend = matrix, backend_of(matrix)

    def diagonal(self) -> NDArray[np.float64]:
        """The diagonal (n,)."""
        return self._backend.diagonal(self._matrix)

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        """Some rows."""
        return self._backend.host(self._matrix[rows])

    def __matmul__(self, Y: NDArray[Any], /) -> NDArray[Any]:
        """The product with Y (n, k), a new array."""
        return self._backend.host(self._matrix @ self._backend.array(Y))


def operator_of(a: Array) -> Any:
    """`a` (n, n) as an operator on arrays of NumPy, which it is itself on the CPU."""
    return a if isinstance(a, np.ndarray) else Operator(a)
