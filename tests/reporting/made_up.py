"""Cells with made-up results, logged without fitting anything: stores of any shape, quickly."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edlae_sweeps.tracking import DatasetRecord, Experiment, Store

DATASET = "made-up"
# The keys of config.yaml that describe the data; all but the last three determine the split.
CONFIG = {
    "heldout_users": 200,
    "min_user_events": 5,
    "holdout_fraction": 0.2,
    "split_seed": 1,
    "start": {},
    "search": {},
}
_METRICS = ("ndcg_100", "recall_20", "recall_50")


def experiment(folder: Path, name: str = DATASET) -> Experiment:
    """The experiment `name` of made-up cells in the store at `folder`."""
    return Store(None, folder).experiment(name, DatasetRecord(name, ""), [])


@dataclass(frozen=True)
class Cell:
    """A cell: its method, rank, and test nDCG@100 of each user; the rest as a job would log it.

    evaluations  evaluations of its search; None: it was not tuned
    validation   validation nDCG@100; None: the mean on the test users
    epochs       epochs of an iterative method, each with the same values
    config       changes to `CONFIG`; the digest of the data follows from its split and from `events`
    """

    method: str
    rank: int | str
    ndcg: NDArray[Any]
    evaluations: int | None = None
    validation: float | None = None
    config: dict[str, Any] = field(default_factory=dict)
    events: int = 9_000
    dtype: str = "float32"
    epochs: int = 0
    metrics: dict[str, float] = field(default_factory=dict)

    @property
    def dataset(self) -> dict[str, Any]:
        """The data set's settings."""
        return {**CONFIG, **self.config}

    @property
    def digest(self) -> str:
        """The digest of the data."""
        split = {name: value for name, value in self.dataset.items() if name not in ("start", "search")}
        return hashlib.sha256(json.dumps([split, self.events]).encode()).hexdigest()

    def params(self) -> dict[str, object]:
        """The parameters of its run."""
        tune = "off" if self.evaluations is None else "optuna"
        return {"dataset": DATASET, "method": self.method, "rank": self.rank, "tune": tune, "dtype": self.dtype,
                "seed": 0, "l2": 10.0, "dropout": 0.1}  # fmt: skip

    def tags(self) -> dict[str, str]:
        """The tags of its run."""
        # Equal keys, equal results.
        key = hashlib.sha256(f"{self.digest} {self.params()} {self.values()}".encode()).hexdigest()[:32]
        return {"kind": "cell", "data_digest": self.digest, "results_version": "2", "run_key": key,
                "shared": "true", "cpu": "none", "blas": "none", "blas_threads": "1"}  # fmt: skip

    def values(self) -> dict[str, float]:
        """The metrics of its run."""
        mean, error = float(self.ndcg.mean()), float(self.ndcg.std() / np.sqrt(len(self.ndcg)))
        test = {f"test/{name}{suffix}": value for name in _METRICS for suffix, value in (("", mean), ("_se", error))}
        validation = mean if self.validation is None else self.validation
        tuned = {} if self.evaluations is None else {"tune/evaluations": float(self.evaluations)}
        fit = {"train/squared_error": 1.0, "train/objective": 1.0, "time/fit_seconds": 1.0}
        fit |= {"time/elapsed_seconds": 1.0} if self.epochs else {}
        return {**test, "validation/ndcg_100": validation, **fit, **tuned, **self.metrics}

    def write(self, folder: Path) -> list[Path]:
        """Write its files to `folder`."""
        users = {"users": np.arange(len(self.ndcg)), **dict.fromkeys(_METRICS, self.ndcg)}
        np.savez_compressed(folder / "per_user.npz", **users)
        heldout = self.dataset["heldout_users"]
        counts = {
            "users": 2_000,
            "training_users": 2_000 - 2 * heldout,
            "heldout_users": heldout,
            "events": self.events,
        }
        texts = {
            "config.yaml": json.dumps({"dataset": self.dataset}),
            "dataset.json": json.dumps(counts),
            "overrides.yaml": f"- dataset={DATASET}\n- method={self.method}\n- rank={self.rank}\n",
        }
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
        return [folder / name for name in ("per_user.npz", *texts)]


def log(target: Experiment, cell: Cell, folder: Path) -> None:
    """Log the cell as a finished run; its files go to `folder` first."""
    values = cell.values()
    by_epoch = ("train/objective", "validation/ndcg_100", "time/elapsed_seconds") if cell.epochs else ()
    metrics = [(name, values[name], step) for name in by_epoch for step in range(1, cell.epochs + 1)]
    metrics += [(name, value, cell.epochs + 1 if name in by_epoch else 0) for name, value in values.items()]
    name = f"{cell.method}-k{cell.rank}"
    target.record(name, cell.tags(), cell.params(), metrics, files=cell.write(folder))
