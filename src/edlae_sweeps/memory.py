"""The memory of this process and of the machine."""

import os
from pathlib import Path

from edlae_sweeps.imports import needed

_CGROUP_ROOT = Path("/sys/fs/cgroup")
_CGROUP_LIST = Path("/proc/self/cgroup")
_MEMINFO, _STATM = Path("/proc/meminfo"), Path("/proc/self/statm")


def available_memory(cgroup_root: Path = _CGROUP_ROOT, cgroup_list: Path = _CGROUP_LIST) -> int:
    """Bytes that this process may still take: the least of free physical memory and the room left in its cgroups.

    Reads both versions of Linux control groups (containers, Slurm, systemd), each group and its parents; elsewhere
    there is only physical memory.
    """
    free = _free_memory()
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


def _free_memory() -> int:
    """Bytes of physical memory that programs may take without swapping."""
    for line in _lines(_MEMINFO):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return int(needed("psutil", "reading the free memory").virtual_memory().available)


def resident_memory() -> int:
    """Resident size of this process in bytes."""
    for line in _lines(_STATM):
        return int(line.split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return int(needed("psutil", "reading the memory of the process").Process().memory_info().rss)


def _lines(path: Path) -> list[str]:
    """The lines of a file of Linux; none elsewhere."""
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
