"""One cell: the result of one (method, rank), measured and kept on disk before anything else happens to it."""

import json
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import distributions, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edlae_sweeps import machine
from edlae_sweeps.datasets import Prepared, write_arrays
from edlae_sweeps.errors import DataError
from edlae_sweeps.evaluation import PerUser, evaluate, training_fit
from edlae_sweeps.methods import Rank
from edlae_sweeps.settings import RESULTS_VERSION, Settings, run_key

_VERSIONED = ("edlae_sweeps", "hydra-core", "mlflow", "numpy", "scipy")


@dataclass(frozen=True)
class Cell:
    """The result of one (method, rank), under the names that it has in result.json and in MLflow."""

    name: str
    params: dict[str, Any]
    metrics: dict[str, float]
    tags: dict[str, str]


@dataclass(frozen=True)
class Factorised:
    """What the ranks of a job share: G (n, n), diag Λ (n,), the method's state, the baseline; and seconds."""

    gram: NDArray[Any]
    penalty: NDArray[np.float64]
    state: Any
    baseline: dict[str, float]
    seconds: dict[str, float]
    shared: bool


def cell_name(settings: Settings, rank: Rank) -> str:
    """`closed-k500`, or `closed-full`."""
    return f"{settings.method.name}-{rank}" if rank == "full" else f"{settings.method.name}-k{rank}"


def cell_params(settings: Settings, rank: object) -> dict[str, Any]:
    """The parameters of a run: what to filter and group by."""
    return {
        "dataset": settings.dataset.label,
        "method": settings.method.name,
        "rank": rank,
        **asdict(settings.method),
        "dtype": settings.dtype.value,
        "seed": settings.seed,
    }


def measure_cell(
    settings: Settings, data: Prepared, factorised: Factorised, rank: Rank, advance: Callable[[int, int], None] | None
) -> tuple[Cell, PerUser]:
    """Cut the model of one rank, and measure it on training, validation and test data."""
    start = time.perf_counter()
    model = settings.method.at_rank(factorised.state, rank)
    rank_seconds = time.perf_counter() - start
    start = time.perf_counter()
    validation = evaluate(model, data.validation, advance)
    test = evaluate(model, data.test, advance)
    evaluate_seconds = time.perf_counter() - start
    fit = training_fit(factorised.gram, factorised.penalty, model)
    metrics = {
        **_named("test", test.summary()),
        **_named("validation", validation.summary()),
        **_named("baseline", factorised.baseline),
        "test/users": float(len(test.users)),
        "validation/users": float(len(validation.users)),
        "train/squared_error": fit.squared_error,
        "train/objective": fit.objective,
        **_named("time", factorised.seconds),
        "time/rank_seconds": rank_seconds,
        "time/fit_seconds": factorised.seconds["factorise_seconds"] + rank_seconds,
        "time/evaluate_seconds": evaluate_seconds,
        "memory/peak_gib": machine.peak_memory() / machine.GIB,
    }
    tags = cell_tags(settings, data, rank, factorised.shared)
    return Cell(cell_name(settings, rank), cell_params(settings, rank), metrics, tags), test


def cell_tags(settings: Settings, data: Prepared, rank: Rank, shared: bool) -> dict[str, str]:
    """What identifies a result, and where it was measured."""
    return {
        "kind": "cell",
        "run_key": run_key(settings, data, rank),
        "shared": str(shared).lower(),
        **origin_tags(data),
    }


def origin_tags(data: Prepared) -> dict[str, str]:
    """The data, the machine and the versions behind every run of a job."""
    blas, threads = machine.blas_name_and_threads()
    return {
        "data_digest": data.digest,
        "results_version": str(RESULTS_VERSION),
        **{f"version.{name}": version(name) for name in _VERSIONED},
        "version.python": platform.python_version(),
        "cpu": machine.cpu_model(),
        "blas": blas,
        "blas_threads": str(threads),
    }


def write_context(folder: Path, composed: Mapping[str, str]) -> list[Path]:
    """Write the composed configuration and environment.json, all that a run can be repeated from; list the files."""
    packages = sorted({(dist.metadata["Name"], dist.version) for dist in distributions()})
    environment = {"platform": platform.platform(), "packages": dict(packages)}
    return _write_texts(folder, {**composed, "environment.json": json.dumps(environment, indent=2)})


def keep(cell: Cell, per_user: PerUser, folder: Path) -> list[Path]:
    """Write the cell to `folder` as result.json and per_user.npz; list them. DataError when they can't be written."""
    folder.mkdir(exist_ok=True)
    files = _write_texts(folder, {"result.json": json.dumps(asdict(cell), indent=2)})
    write_arrays(folder / "per_user.npz", vars(per_user), "tracking.dir", compressed=True)
    return [*files, folder / "per_user.npz"]


def _write_texts(folder: Path, texts: Mapping[str, str]) -> list[Path]:
    """Write each text to the file of its name, whole or not at all."""
    for name, text in texts.items():
        temporary = folder / f".{name}"
        try:
            temporary.write_text(text + "\n", encoding="utf-8")
            temporary.replace(folder / name)
        except OSError as error:
            raise DataError(
                f"can't write {folder / name}: {error.strerror}; free some space or choose tracking.dir"
            ) from error
    return [folder / name for name in texts]


def _named(prefix: str, values: Mapping[str, float]) -> dict[str, float]:
    return {f"{prefix}/{name}": value for name, value in values.items()}
