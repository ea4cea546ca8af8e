"""The memory of a GPU: one line where it is not enough. Needs no PyTorch."""

import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from edlae_sweeps.errors import DeviceMemoryError

# What CUDA's libraries say when they get no memory for their own workspace.
_NO_WORKSPACE = "STATUS_ALLOC_FAILED"


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
        raise DeviceMemoryError(
            f"device=cuda: out of memory{amount}: choose device=auto, a smaller rank or dtype=float32"
        ) from None


def _is_out_of_memory(torch: Any, error: RuntimeError) -> bool:
    return isinstance(error, torch.cuda.OutOfMemoryError) or _NO_WORKSPACE in str(error)
