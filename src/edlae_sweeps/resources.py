"""What a computation may use: threads, memory and a device; and facts about the machine."""

import os
import platform
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil
from threadpoolctl import threadpool_info, threadpool_limits

from edlae_sweeps.errors import HostMemoryError

GIB = 1024**3
_MIB = 1024**2
# What a process takes beside the matrices of a method: interpreter, libraries, data, one batch of scores.
PROCESS_BYTES = GIB
# The same beside the matrices on a device: workspaces of its BLAS and LAPACK, fragments, one batch of scores.
_DEVICE_BYTES, _DEVICE_SHARE = GIB, 0.05
_CGROUP_ROOT = Path("/sys/fs/cgroup")
_CGROUP_LIST = Path("/proc/self/cgroup")

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
        available = available_memory() + psutil.Process().memory_info().rss
        limits = [limit for limit in (available, memory, _slurm_memory()) if limit is not None]
        return cls(threads or min(blas_threads(), processors()), min(limits), device)

    @contextmanager
    def limit_threads(self) -> Iterator[None]:
        """Keep BLAS and OpenMP to `threads` within the block; the limit holds for the whole process."""
        with threadpool_limits(self.threads):
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
    """Turn a MemoryError of the block into a HostMemoryError, which says what was tried and what to do."""
    try:
        yield
    except MemoryError as error:
        reason = " ".join(str(error).split())
        told = f" ({reason[:1].lower()}{reason[1:]})" if reason else ""
        # The arrays of the block would stay as long as its traceback.
        raise HostMemoryError(f"{tried}: out of memory{told}: {remedy}, or free some memory") from None


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


def available_memory(cgroup_root: Path = _CGROUP_ROOT, cgroup_list: Path = _CGROUP_LIST) -> int:
    """Bytes that this process may still take: the least of free physical memory and the room left in its cgroups.

    Reads both versions of Linux control groups (containers, Slurm, systemd), each group and its parents; elsewhere
    there is only physical memory.
    """
    free = psutil.virtual_memory().available
    rooms = [_room(folder, *names) for folder, names in _memory_cgroups(cgroup_root, cgroup_list)]
    return max(0, min([free, *(room for room in rooms if room is not None)]))


def _memory_cgroups(root: Path, listing: Path) -> list[tuple[Path, tuple[str, str, str]]]:
    """Memory cgroups of this process and their parents, with their names of limit, usage and page cache."""
    try:
        lines = listing.read_text().splitlines()
    except OSError:
        return []
    groups: list[tuple[Path, tuple[str, str, str]]] = []
    for line in lines:
        hierarchy, controllers, path = line.split(":", 2)
        if hierarchy == "0":
            base, names = root, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            base, names = root / "memory", ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        leaf = base / path.lstrip("/")
        groups += [(folder, names) for folder in (leaf, *leaf.parents) if folder == base or base in folder.parents]
    return groups


def _room(folder: Path, limit: str, usage: str, reclaimable: str) -> int | None:
    """Bytes left in one cgroup, None if it sets no limit; page cache that the kernel can drop counts as free."""
    try:
        maximum = int((folder / limit).read_text())
        used = int((folder / usage).read_text())
        stat = dict(line.split(" ", 1) for line in (folder / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return None
    return maximum - used + int(stat.get(reclaimable, 0))


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
    """The largest number of threads that a loaded BLAS uses now."""
    return max((int(pool["num_threads"]) for pool in _blas_pools()), default=1)


def _blas_pools() -> list[dict[str, str]]:
    return [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
