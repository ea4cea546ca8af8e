"""Where the points of a search and the fits of a job are computed."""

from dataclasses import dataclass
from typing import ClassVar

from edlae_sweeps.errors import ConfigError
from edlae_sweeps.imports import override
from edlae_sweeps.options import Options


@dataclass(frozen=True, kw_only=True, repr=False)
class Parallel(Options):
    """Base of the choices of `parallel=NAME`. No key of a result depends on it."""

    prefix: ClassVar[str] = "parallel."
    name: ClassVar[str]


@dataclass(frozen=True, kw_only=True, repr=False)
class Alone(Parallel):
    """One after another, in the process of the job."""

    name: ClassVar[str] = "off"


@dataclass(frozen=True, kw_only=True, repr=False)
class Processes(Parallel):
    """At once, in processes of this machine.

    workers  number of processes (≥ 1); None: as many as the processors serve with the threads of each
    """

    name: ClassVar[str] = "processes"

    workers: int | None = None

    @override
    def check(self) -> None:
        _check_workers(self.workers)


@dataclass(frozen=True, kw_only=True, repr=False)
class Dask(Parallel):
    """At once, on the workers of a Dask cluster.

    scheduler  address of its scheduler, such as tcp://127.0.0.1:8786
    workers    most workers to use at once (≥ 1); None: as many as the cluster has when the job starts
    """

    name: ClassVar[str] = "dask"

    scheduler: str = ""
    workers: int | None = None

    @override
    def check(self) -> None:
        if not self.scheduler:
            raise ConfigError(
                "parallel.scheduler is not set: name the address of a Dask scheduler, such as tcp://127.0.0.1:8786"
            )
        _check_workers(self.workers)


# The registry: the name in `parallel=NAME` → its settings.
PARALLELS: dict[str, type[Parallel]] = {kind.name: kind for kind in (Alone, Processes, Dask)}


def _check_workers(workers: int | None) -> None:
    if workers is not None and workers < 1:
        raise ConfigError(f"parallel.workers={workers}: choose 1 or more, or null")
