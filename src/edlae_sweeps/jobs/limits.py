"""Checks before a job starts: whether it fits into memory and onto the disk."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from edlae_sweeps.datasets import Prepared, TrainingData
from edlae_sweeps.errors import ConfigError
from edlae_sweeps.methods import Rank
from edlae_sweeps.resources import GIB, PROCESS_BYTES, Resources
from edlae_sweeps.serving import UserHistory
from edlae_sweeps.settings import Settings


def check_memory(settings: Settings, ranks: Sequence[Rank], data: TrainingData, resources: Resources) -> None:
    """Raise ConfigError if the estimated peak exceeds the memory of this job."""
    needed = memory_needed(settings, ranks, data, resources)
    if needed > resources.memory:
        remedy = "free some memory" if settings.memory is None else f"raise memory={settings.memory:g}"
        wide = settings.dtype == "float64"
        raise ConfigError(
            f"rank={settings.rank} on {data.n_items} items in {settings.dtype} needs about {needed / GIB:.1f} GiB, and "
            f"{max(0, resources.memory) / GIB:.1f} GiB are available: choose a smaller rank"
            f"{', dtype=float32' if wide else ''} or a higher dataset.min_item_events, or {remedy}"
        )


def memory_needed(settings: Settings, ranks: Sequence[Rank], data: TrainingData, resources: Resources) -> int:
    """Estimated peak of the process in bytes."""
    method = settings.method
    # The search of an iterative method keeps a second inverse.
    kept = data.n_items**2 * data.dtype.itemsize if settings.tune.name != "off" and not method.nested else 0
    return kept + PROCESS_BYTES + method.estimate(data, ranks, resources).bytes


def check_disk(
    settings: Settings,
    ranks: Sequence[Rank],
    data: Prepared,
    training: TrainingData,
    resources: Resources,
    folder: Path,
) -> None:
    """Raise ConfigError if the models of all ranks, in `folder` and as artifacts, would not fit onto its disk.

    Each is kept with the names and counts of the items, and with the history of the users.
    """
    models = settings.method.estimate(training, ranks, resources).model_bytes
    beside = data.item_names.nbytes + training.item_counts.nbytes + UserHistory.of(data).bytes
    needed = 2 * (models + len(ranks) * beside)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise ConfigError(
            f"save_model=true needs about {needed / GIB:.1f} GiB for rank={settings.rank} on {data.n_items} items (in "
            f"the output folder and as artifacts), and {free / GIB:.1f} GiB are free in {folder}: "
            "choose smaller ranks, dtype=float32, another tracking.dir, or save_model=false"
        )
