"""Facts about the machine: memory that may be used, processor, BLAS threads."""

import os
import platform
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from threadpoolctl import threadpool_info, threadpool_limits

GIB = 1024**3
# What a process takes beside the matrices of a method: interpreter, libraries, data, one batch of scores.
PROCESS_BYTES = GIB
_CGROUP_ROOT = Path("/sys/fs/cgroup")
_CGROUP_LIST = Path("/proc/self/cgroup")
# Bytes that this process may take in all, by its own wish.
_memory_limit: int | None = None


@contextmanager
def use(threads: int | None = None, memory: int | None = None) -> Iterator[None]:
    """Keep to so many threads of linear algebra and bytes of memory for a while; None leaves it to the machine.

    The former holds for all libraries of this process, the latter for what asks `available_memory`.
    """
    global _memory_limit
    before, _memory_limit = _memory_limit, memory
    try:
        with threadpool_limits(threads):
            yield
    finally:
        _memory_limit = before


def cores() -> int:
    """Processors that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def available_memory(cgroup_root: Path = _CGROUP_ROOT, cgroup_list: Path = _CGROUP_LIST) -> int:
    """Bytes that this process may still take: the least of free physical memory and the room left in its cgroups.

    Reads both versions of Linux control groups (containers, Slurm, systemd), each group and its parents; elsewhere
    there is only physical memory. `use` may have set a limit below all that.
    """
    free = psutil.virtual_memory().available
    rooms = [_room(folder, *names) for folder, names in _memory_cgroups(cgroup_root, cgroup_list)]
    if _memory_limit is not None:
        rooms.append(_memory_limit - psutil.Process().memory_info().rss)
    return max(0, min([free, *(room for room in rooms if room is not None)]))


def _memory_cgroups(root: Path, listing: Path) -> list[tuple[Path, tuple[str, str, str]]]:
    """Memory cgroups of this process and their parents, with their names of limit, usage and page cache."""
    try:
        lines = listing.read_text().splitlines()
    except OSError:
        return []
    found: list[tuple[Path, tuple[str, str, str]]] = []
    for line in lines:
        hierarchy, controllers, path = line.split(":", 2)
        if hierarchy == "0":
            base, names = root, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            base, names = root / "memory", ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        leaf = base / path.lstrip("/")
        found += [(folder, names) for folder in (leaf, *leaf.parents) if folder == base or base in folder.parents]
    return found


def _room(folder: Path, limit: str, usage: str, reclaimable: str) -> int | None:
    """Bytes left in one cgroup, or None where it sets no limit; page cache that the kernel can drop counts as free."""
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
        # Unlike rusage, this begins anew with a program, whatever the process that started it was.
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def cpu_model() -> str:
    """The processor's own name, as far as the system tells."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def blas_name_and_threads() -> tuple[str, int]:
    """The loaded BLAS with its version, and the largest number of threads that it uses."""
    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    names = sorted({f"{pool['internal_api']} {pool['version']}" for pool in pools})
    return ", ".join(names) or "unknown", max((pool["num_threads"] for pool in pools), default=1)
