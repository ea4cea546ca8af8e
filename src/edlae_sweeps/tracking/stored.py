"""A run as the store holds it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from mlflow.entities import Run as MlflowRun

from edlae_sweeps.process import process_tags

# How much too early the start of a process may be: Linux counts it from the boot, whose time it gives in whole seconds.
_START_SECONDS = 1


@dataclass(frozen=True)
class StoredRun:
    """One run as the store holds it; `ended` in seconds of the clock of its host, `artifacts` the URI of its files."""

    id: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    name: str
    ended: float = 0
    artifacts: str = ""

    def local(self, name: str) -> Path | None:
        """The path of an artifact in a folder of this machine; None if it is elsewhere, or gone.

        It saves MLflow's look-up, tens of milliseconds for each file.
        """
        parts = urlsplit(self.artifacts)
        path = Path(url2pathname(parts.path)) / name
        return path if parts.scheme == "file" and path.is_file() else None

    @property
    def concurrent(self) -> bool:
        """Whether another process finished it after this one had started, as far as their clocks agree."""
        own = process_tags()
        same = all(self.tags.get(name) == own[name] for name in ("machine", "pid", "pid_ticks"))
        return not same and self.ended > float(own["pid_start"]) + _START_SECONDS


def stored_run(run: MlflowRun) -> StoredRun:
    """A run of MLflow as a StoredRun."""
    info, data = run.info, run.data
    return StoredRun(
        id=info.run_id,
        params=data.params,
        metrics=data.metrics,
        tags=data.tags,
        name=info.run_name or "",
        ended=(info.end_time or 0) / 1000,
        artifacts=info.artifact_uri or "",
    )
