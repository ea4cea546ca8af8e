"""Where a result comes from: the data, the machine and the versions."""

import platform
from importlib.metadata import version

from edlae_sweeps import resources
from edlae_sweeps.settings import RESULTS_VERSION

_VERSIONED = ("edlae_sweeps", "hydra-core", "mlflow", "numpy", "optuna", "scipy")


def origin_tags(data_digest: str) -> dict[str, str]:
    """Tags that every run of a job carries: the digest of its data, the machine, and versions."""
    return {
        "data_digest": data_digest,
        "results_version": str(RESULTS_VERSION),
        **{f"version.{name}": version(name) for name in _VERSIONED},
        "version.python": platform.python_version(),
        "cpu": resources.cpu_model(),
        "blas": resources.blas_name(),
        "blas_threads": str(resources.blas_threads()),
    }
