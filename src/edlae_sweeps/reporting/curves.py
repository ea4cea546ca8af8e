"""Accuracy and training error over rank."""

import json
from pathlib import Path

from edlae_sweeps.errors import TrackingError
from edlae_sweeps.reporting.collect import Collected, Entry
from edlae_sweeps.reporting.tables import Table
from edlae_sweeps.tracking import Experiment

METRICS = ("ndcg_100", "recall_20", "recall_50")


def accuracy_table(collected: Collected) -> Table:
    """Every cell: parameters, validation and test metrics with standard errors."""
    header = ("method", "rank", "λ", "p", "validation nDCG@100", "nDCG@100 ± SE", "Recall@20 ± SE", "Recall@50 ± SE")
    rows = []
    for entry in collected.best:
        metrics = entry.metrics
        tests = [f"{metrics[f'test/{name}']:.4f} ± {metrics[f'test/{name}_se']:.4f}" for name in METRICS]
        validation = f"{metrics['validation/ndcg_100']:.4f}"
        rows.append((entry.method, entry.shown_rank, _param(entry, "l2"), _param(entry, "dropout"), validation, *tests))
    return Table("Accuracy by rank", header, tuple(rows))


def numbers_table(collected: Collected) -> Table:
    """The numbers behind the figures, in full precision, with the run that each is from."""
    names = [f"test/{name}{suffix}" for name in METRICS for suffix in ("", "_se")]
    names += ["validation/ndcg_100", "train/squared_error", "train/objective", "time/fit_seconds"]
    names += ["residual/diagonal", "residual/off_diagonal", "diagonal/median", "diagonal/q95"]
    rows = []
    for entry in collected.best:
        values = [repr(entry.metrics[name]) if name in entry.metrics else "" for name in names]
        params = (_param(entry, "l2"), _param(entry, "dropout"))
        rows.append((entry.method, entry.shown_rank, *params, *values, entry.run.tags["run_key"], entry.run.id))
    return Table("Numbers", ("method", "rank", "l2", "dropout", *names, "run_key", "run_id"), tuple(rows))


def dataset_table(experiment: Experiment, entry: Entry, folder: Path) -> Table:
    """The summary of the data set that a cell was measured on."""
    try:
        summary = json.loads(experiment.fetch(entry.run.id, "dataset.json", folder).read_text(encoding="utf-8"))
    except TrackingError:
        # Runs of the first version had none.
        summary = {}
    rows = []
    for name, value in summary.items():
        shown = f"{value:,}" if isinstance(value, int) else f"{value}"[:24]
        if isinstance(value, dict):
            if name == "sha256":
                continue
            shown = ", ".join(f"{number:,.0f} ({level})" for level, number in value.items())
        rows.append((name.replace("_", " "), shown))
    return Table("Data set", ("", "value"), tuple(rows))


def _param(entry: Entry, name: str) -> str:
    value = entry.run.params.get(name)
    return "" if value is None else f"{float(value):.4g}"
