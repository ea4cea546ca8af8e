"""What a computation may use: threads, memory and a device; and facts about the machine."""

import errno
import os
import platform
import re
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from edlae_sweeps.errors import HostMemoryError, MissingExtra
from edlae_sweeps.memory import available_memory, resident_memory

# Linear algebra alone does without it.
try:
    import threadpoolctl
except ModuleNotFoundError:
    threadpoolctl = None

GIB = 1024**3
_MIB = 1024**2
# What a process takes beside the matrices of a method: interpreter, libraries, data, one batch of scores.
PROCESS_BYTES = GIB
# The same beside the matrices on a device: workspaces of its BLAS and LAPACK, fragments, one batch of scores.
_DEVICE_BYTES, _DEVICE_SHARE = GIB, 0.05
_NO_MEMORY = re.compile("can't start new thread|can't allocate memory")

# `torch` is PyTorch on the CPU; `auto` is CUDA where PyTorch sees a GPU, else the CPU.
Device = Literal["cpu", "cuda", "auto", "torch"]


@dataclass(frozen=True)
class Resources:
    """What a computation may use, fixed when it is made and passed down.

    threads  threads of linear algebra, and batches evaluated at once
    memory   bytes that the whole process may take
    device   where dense arrays are computed with
    device_memory  bytes that are free there, if it has memory of its own
    may_fall_back  whether the CPU takes over if that is too little
    """

    threads: int
    memory: int
    device: Device = "cpu"
    device_memory: int | None = None
    may_fall_back: bool = False

    @classmethod
    def here(cls, threads: int | None = None, memory: int | None = None, device: Device = "cpu") -> "Resources":
        """The resources of this process now: by default all threads of the BLAS, and the memory that is free.

        In a job of Slurm they are at most those of the job. `memory` lowers what is free, never raises it.
        """
        available = available_memory() + resident_memory()
        limits = [limit for limit in (available, memory, _slurm_memory()) if limit is not None]
        return cls(threads or min(blas_threads(), processors()), min(limits), device)

    @contextmanager
    def limit_threads(self) -> Iterator[None]:
        """Keep BLAS and OpenMP to `threads` within the block; the limit holds for the whole process.

        Raises MissingExtra if that takes threadpoolctl and it is not installed.
        """
        with limited_threads(self.threads):
            yield

    @property
    def matrix_bytes(self) -> int:
        """Bytes that matrices may take: `memory` without what the process needs otherwise.

        On a device they are its free bytes without a reserve for the workspaces of its libraries and for the
        evaluation: 5 % of them, and at least 1 GiB.
        """
        if self.device_memory is None:
            return self.memory - PROCESS_BYTES
        return max(0, self.device_memory - max(_DEVICE_BYTES, int(_DEVICE_SHARE * self.device_memory)))


@contextmanager
def memory_errors(tried: str, remedy: str) -> Iterator[None]:
    """Turn a lack of memory in the block into a HostMemoryError, which says what was tried and what to do."""
    try:
        yield
    except (MemoryError, OSError, RuntimeError) as error:
        if not _lacks_memory(error):
            raise
        reason = " ".join(str(error).split())
        told = f" ({reason[:1].lower()}{reason[1:]})" if reason else ""
        # The arrays of the block would stay as long as its traceback.
        raise HostMemoryError(f"{tried}: out of memory{told}; {remedy}, or free some memory") from None


def _lacks_memory(error: Exception) -> bool:
    """Whether an error says that there is no memory, which Python, the system, threads and PyTorch do in their ways."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, MemoryError) or _NO_MEMORY.search(str(error)) is not None


def cores() -> int:
    """Processors that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processors() -> int:
    """Processors that this job may use: those of its task of Slurm, if it asked for any, else those it may run on."""
    return _positive("SLURM_CPUS_PER_TASK") or cores()


def _slurm_memory() -> int | None:
    """Bytes that this Slurm job may take on its node, which not every cluster enforces; None if it has no limit."""
    if node := _positive("SLURM_MEM_PER_NODE"):
        return node * _MIB
    each, processors = _positive("SLURM_MEM_PER_CPU"), _positive("SLURM_CPUS_ON_NODE")
    return each * processors * _MIB if each and processors else None


def _positive(variable: str) -> int | None:
    """The value of an environment variable if it is a number above 0."""
    text = os.environ.get(variable, "")
    return int(text) or None if text.isdecimal() else None


def peak_memory() -> int:
    """Largest resident size of this process so far, in bytes."""
    try:
        # Unlike rusage, this starts anew with each program, whatever the size of the process that started it.
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def cpu_model() -> str:
    """The processor's name as the system reports it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def blas_name() -> str:
    """The loaded BLAS with its version."""
    names = sorted({f"{pool['internal_api']} {pool['version']}" for pool in _blas_pools()})
    return ", ".join(names) or "unknown"


def blas_threads() -> int:
    """The largest number of threads that a loaded BLAS uses now; without threadpoolctl, as many as it started with."""
    if threadpoolctl is None:
        started = _positive("OPENBLAS_NUM_THREADS") or _positive("OMP_NUM_THREADS") or cores()
        return min(started, cores())
    return max((int(pool["num_threads"]) for pool in _blas_pools()), default=1)


@contextmanager
def limited_threads(threads: int, api: Literal["blas", "openmp"] | None = None) -> Iterator[None]:
    """Keep BLAS and OpenMP, or one `api` of them, to `threads` within the block, in the whole process.

    Raises MissingExtra if that takes threadpoolctl and it is not installed.
    """
    if threadpoolctl is not None:
        with threadpoolctl.threadpool_limits(threads, user_api=api):
            yield
        return
    if threads != blas_threads():
        raise MissingExtra(
            f"{threads} threads of the BLAS instead of {blas_threads()} need the package threadpoolctl: pip install "
            f"threadpoolctl, or start Python with OPENBLAS_NUM_THREADS={threads}"
        )
    yield


@contextmanager
def unthreaded_blas() -> Iterator[None]:
    """One thread of BLAS for each thread of the block, which is quicker; without threadpoolctl it changes nothing."""
    with nullcontext() if threadpoolctl is None else _controller().limit(limits=1):
        yield


@cache
def _controller() -> Any:
    """The libraries of the process; looking for them takes longer than a small product."""
    return threadpoolctl.ThreadpoolController()


def _blas_pools() -> list[dict[str, str]]:
    return [] if threadpoolctl is None else [p for p in threadpoolctl.threadpool_info() if p["user_api"] == "blas"]
