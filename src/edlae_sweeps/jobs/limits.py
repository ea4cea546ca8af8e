"""Checks before a job starts: whether it fits into memory and onto the disk."""

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

from edlae_sweeps.datasets import Prepared, TrainingData, fixed_width
from edlae_sweeps.errors import ConfigError
from edlae_sweeps.linalg import backend_for, on_cpu
from edlae_sweeps.methods import Rank, largest_rank
from edlae_sweeps.methods.closed.certificate import certificate_bytes
from edlae_sweeps.resources import GIB, PROCESS_BYTES, Resources
from edlae_sweeps.serving import UserHistory
from edlae_sweeps.settings import Settings

_log = logging.getLogger(__name__)


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
    """Estimated peak of the process in bytes.

    Beside a GPU with memory of its own that is the models alone, unless the method has large arrays on the host too. A
    certificate is computed on the host, before the fit.
    """
    method = settings.method
    if resources.device_memory is not None and not method.host_arrays:
        needed = method.estimate(data, ranks, resources).model_bytes
    else:
        needed = arrays_needed(settings, ranks, data, resources)
    if settings.certificate and (k := largest_rank(ranks)):
        n, itemsize = data.n_items, data.dtype.itemsize
        needed = max(needed, n * n * itemsize + certificate_bytes(n, k, itemsize))
    return PROCESS_BYTES + needed


def arrays_needed(settings: Settings, ranks: Sequence[Rank], data: TrainingData, resources: Resources) -> int:
    """Estimated peak of all arrays in bytes, where they are."""
    method = settings.method
    # The search of an iterative method keeps a second inverse.
    kept = data.n_items**2 * data.dtype.itemsize if settings.tune.name != "off" and not method.nested else 0
    return kept + method.estimate(data, ranks, resources).bytes


def fits_on_device(settings: Settings, data: TrainingData, settled: Resources) -> bool:
    """Whether the arrays of a job fit into the memory of its GPU; yes if the device has none of its own."""
    needed = arrays_needed(settings, settings.ranks(), data, settled)
    return settled.device_memory is None or needed <= settled.matrix_bytes


def device_need(settings: Settings, data: TrainingData, settled: Resources) -> str:
    """What a dense fit takes on a GPU, and what there is, in words."""
    needed = arrays_needed(settings, settings.ranks(), data, settled)
    return (
        f"device={settings.device}: rank={settings.rank} on {data.n_items} items in {settings.dtype} needs about "
        f"{needed / GIB:.1f} GiB, and {settled.matrix_bytes / GIB:.1f} GiB for arrays are free on "
        f"{backend_for(settled.device).name}"
    )


def settle_device(settings: Settings, data: TrainingData, resources: Resources) -> Resources:
    """The resources with the device that the job uses; one line says so if it is not the CPU, or a GPU is too small.

    Raises ConfigError or MissingExtra if `device` names one that is not here or too small.
    """
    settled = settings.method.settled(data, resources)
    if settled.device == "cpu":
        return settled
    if fits_on_device(settings, data, settled):
        _log.info("device: %s", backend_for(settled.device).name)
        return settled
    told = device_need(settings, data, settled)
    if not settled.may_fall_back:
        raise ConfigError(f"{told}: choose device=cpu, device=auto or a smaller rank")
    _log.warning("%s; the CPU takes over", told)
    return on_cpu(settled)


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
    beside = fixed_width(data.item_names).nbytes + training.item_counts.nbytes + UserHistory.of(data).bytes
    needed = 2 * (models + len(ranks) * beside)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise ConfigError(
            f"save_model=true needs about {needed / GIB:.1f} GiB for rank={settings.rank} on {data.n_items} items (in "
            f"the output folder and as artifacts), and {free / GIB:.1f} GiB are free in {folder}: "
            "choose smaller ranks, dtype=float32, another tracking.dir, or save_model=false"
        )
