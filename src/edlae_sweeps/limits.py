"""Whether a job fits into the memory and the disk that are left, before it begins."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edlae_sweeps import machine
from edlae_sweeps.datasets import Prepared
from edlae_sweeps.errors import ConfigError
from edlae_sweeps.methods import Rank
from edlae_sweeps.settings import Settings


def check_memory(settings: Settings, ranks: Sequence[Rank], data: Prepared) -> None:
    """Raise ConfigError when the estimated peak exceeds the memory left to this process, by cgroups too."""
    needed = memory_needed(settings, ranks, data)
    available = machine.available_memory()
    if needed > available:
        remedy = "free some memory" if settings.memory is None else f"raise memory={settings.memory:g}"
        wide = settings.dtype.value == "float64"
        raise ConfigError(
            f"rank={settings.rank} on {data.n_items} items in {settings.dtype.value} needs about "
            f"{needed / machine.GIB:.1f} GiB, and {available / machine.GIB:.1f} GiB are available: choose a smaller "
            f"rank{', dtype=float32' if wide else ''} or a higher dataset.min_item_events, or {remedy}"
        )


def memory_needed(settings: Settings, ranks: Sequence[Rank], data: Prepared) -> int:
    """Estimated peak of the process in bytes."""
    itemsize = np.dtype(settings.dtype.value).itemsize
    # Beside what a fit takes, the search of an iterative method keeps a second inverse.
    kept = data.n_items**2 * itemsize if settings.tune.name != "off" and not settings.method.nested else 0
    # A full rank beside low ones may have to be computed by itself.
    largest = {max([0, *(rank for rank in ranks if rank != "full")]), *(0 for rank in ranks if rank == "full")}
    fit = max(settings.method.peak_bytes(data.n_items, rank, itemsize) for rank in largest)
    return kept + machine.PROCESS_BYTES + fit


def check_disk(settings: Settings, ranks: Sequence[Rank], data: Prepared, folder: Path) -> None:
    """Raise ConfigError when the models of all ranks, in `folder` and as artifacts, would not fit on its disk."""
    n, itemsize = data.n_items, np.dtype(settings.dtype.value).itemsize
    models = sum(settings.method.model_size(n, rank) for rank in ranks) * itemsize
    needed = 2 * (models + len(ranks) * data.item_names.nbytes)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise ConfigError(
            f"save_model=true needs about {needed / machine.GIB:.1f} GiB for rank={settings.rank} on {n} items (in the "
            f"output folder and as artifacts), and {free / machine.GIB:.1f} GiB are free in {folder}: "
            "choose smaller ranks, dtype=float32, another tracking.dir, or save_model=false"
        )
