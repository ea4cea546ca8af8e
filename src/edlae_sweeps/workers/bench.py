"""What a task works on: data, resources, and what is kept from one task to the next."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from numpy.typing import NDArray

from edlae_sweeps import resources as machine
from edlae_sweeps.datasets import DatasetSettings, Prepared, TrainingData, load, load_gram
from edlae_sweeps.errors import DataError
from edlae_sweeps.linalg import check_device, settle, with_fallback
from edlae_sweeps.methods import Rank
from edlae_sweeps.resources import Device, Resources
from edlae_sweeps.settings import DType
from edlae_sweeps.workers.validation import Validator

T = TypeVar("T")


class Bench:
    """Prepared data in this process, with the resources for one task after another.

    `tags` say where results come from if that is not the process of the job. A bench whose GPU was too small for one
    step goes on with the CPU.
    """

    def __init__(
        self, data: Prepared, training: TrainingData, resources: Resources, tags: Mapping[str, str] | None = None
    ) -> None:
        self.data, self.training, self.resources = data, training, resources
        self.tags: Mapping[str, str] = tags or {}
        self._validator: tuple[str, Validator] | None = None

    @cached_property
    def gram_seconds(self) -> float:
        """The seconds that G took, which is loaded or computed on first use; for its products, those of Xᵀ."""
        start = time.perf_counter()
        self.computed(self.training.operator)
        return time.perf_counter() - start

    def computed(self, work: Callable[[Resources], T]) -> T:
        """What `work` makes with the resources of the bench, or of the CPU if a GPU is too small and device is auto.

        Raises DeviceMemoryError if it is too small and the CPU may not take over.
        """

        def tried(using: Resources) -> T:
            self.resources = using
            return work(using)

        return with_fallback(self.resources, tried, self.training.leave_device)

    def follow(self, resources: Resources) -> None:
        """Stay on the CPU if a step ended there."""
        if resources.device == "cpu":
            self.resources = resources

    def using(self, resources: Resources, tags: Mapping[str, str]) -> "Bench":
        """The same data with other resources."""
        bench = Bench(self.data, self.training, resources, tags)
        bench.gram_seconds = self.gram_seconds
        return bench

    def validator(self, study: str, ranks: Sequence[Rank]) -> Validator:
        """The validator of the search with this key, with the states that it keeps."""
        if self._validator is None or self._validator[0] != study:
            # Free the states of another search before the first of this one.
            self._validator = None
            self._validator = study, Validator(self.training, self.data.validation, ranks, self.resources)
        return self._validator[1]

    def forget(self) -> None:
        """Free the states that a search kept."""
        self._validator = None


@dataclass(frozen=True)
class Place:
    """Where a worker finds the data of a job, and what it may use.

    digest   digest of the prepared data: those of another source are refused
    threads  threads of linear algebra
    memory   bytes that a worker may take; None: what is free where it runs
    by_products  whether G is given as products alone
    device_memory  bytes of a GPU that a worker may take; None: what is free there
    """

    dataset: DatasetSettings
    digest: str
    dtype: DType
    data_dir: str
    threads: int
    memory: int | None
    device: Device
    by_products: bool = False
    device_memory: int | None = None

    def bench(self) -> Bench:
        """The bench of this place: the one of the last task if it had the same data and resources."""
        global _last
        if _last is not None and _last[0] == self:
            return _last[1]
        check_device(self.device)
        resources = settle(Resources.here(self.threads, self.memory, "cpu" if self.by_products else self.device))
        if self.device_memory is not None and resources.device_memory is not None:
            resources = replace(resources, device_memory=self.device_memory)
        if self.memory is not None:
            # A worker that starts later sees less free memory, and must not choose a leaner fit for that.
            resources = replace(resources, memory=self.memory)
        with resources.limit_threads():
            if _last is not None and replace(_last[0], threads=self.threads, memory=self.memory) == self:
                bench = _last[1].using(resources, _machine_tags())
            else:
                # Free the data of another job first.
                _last = None
                bench = Bench(*self._load(), resources, _machine_tags())
                # Load G now, so that its seconds are not those of a fit.
                _ = bench.gram_seconds
        _last = self, bench
        return bench

    def _load(self) -> tuple[Prepared, TrainingData]:
        folder = Path(self.data_dir)
        data = load(self.dataset, folder, memory=self.memory)
        if data.digest != self.digest:
            raise DataError(
                f"{self.dataset.label}: a worker has other data than the job: give all of them the same source, or "
                "a data_dir that they share"
            )

        def gram() -> NDArray[Any]:
            return load_gram(data, self.dtype, folder)

        return data, TrainingData(data.train, self.dtype, data.item_names, gram, self.by_products)


# The place and the bench of the last task in this process.
_last: tuple[Place, Bench] | None = None
# A worker of Dask may have several threads, but each task uses the memory and the processors of the whole worker.
one_at_a_time = threading.Lock()


def _machine_tags() -> dict[str, str]:
    return {
        "cpu": machine.cpu_model(),
        "blas": machine.blas_name(),
        "blas_threads": str(machine.blas_threads()),
    }
