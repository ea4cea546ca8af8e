"""Accuracy and training error by rank, and the data set they were measured on."""

import itertools
from collections.abc import Collection, Mapping

from edlae_sweeps.plots import Series
from edlae_sweeps.reporting.collect import Collected, StoredCell
from edlae_sweeps.reporting.popularity import NAME
from edlae_sweeps.reporting.reader import Reader
from edlae_sweeps.reporting.tables import Table
from edlae_sweeps.reporting.tuned import marked, tuning, warning
from edlae_sweeps.settings import METRICS, Metric, is_metric


def accuracy_table(collected: Collected, baseline: Mapping[str, float]) -> Table:
    """One row per cell: parameters and how they were chosen, validation nDCG@100, test metrics with standard errors.

    `baseline` holds the test metrics of popularity, a row above the others; empty: no such row.
    """
    header = ("method", "rank", "λ", "p", "parameters", "validation nDCG@100", "nDCG@100 ± SE", "Recall@20 ± SE",
              "Recall@50 ± SE")  # fmt: skip
    above = (NAME, *[""] * 5, *(with_error(baseline, name) for name in METRICS)) if baseline else ()
    rows: list[tuple[str, ...]] = []
    links = {}
    for cell in collected.best:
        tests = [with_error(cell.metrics, f"test/{name}") for name in METRICS]
        validation = f"{cell.metrics['validation/ndcg_100']:.4f}"
        params = (_param(cell, "l2"), _param(cell, "dropout"))
        links[len(rows) + bool(above), 0] = cell.run.id
        rows.append((cell.method, cell.rank_text, *params, tuning(cell), validation, *tests))
    return Table(
        "Accuracy by rank",
        header,
        tuple(rows),
        above,
        caption="For each method and rank, test metrics of the cell that validated best.",
        warning=warning(collected.best),
        keys=2,
        links=links,
    )


def with_error(metrics: Mapping[str, float], name: str) -> str:
    """A metric with its standard error, if it has one; empty if it is not there."""
    if name not in metrics:
        return ""
    error = metrics.get(f"{name}_se")
    return f"{metrics[name]:.4f}" + ("" if error is None else f" ± {error:.4f}")


def further_metrics(collected: Collected) -> list[str]:
    """The names of the test metrics that some of the cells have beside `METRICS`, in the order of tables."""
    logged = {name.removeprefix("test/") for cell in collected.best for name in cell.run.metrics if name[:5] == "test/"}
    names = [name for name in logged if is_metric(name) and name not in METRICS]
    return sorted(names, key=lambda name: Metric.parse(name).order)


def numbers_table(collected: Collected) -> Table:
    """The numbers behind the figures in full precision, with the run key and run id of each cell, and its tuning."""
    names = [f"test/{name}{suffix}" for name in METRICS for suffix in ("", "_se")]
    names += ["validation/ndcg_100", "train/squared_error", "train/objective", "time/fit_seconds"]
    names += ["residual/diagonal", "residual/off_diagonal", "diagonal/median", "diagonal/q95"]
    for name in further_metrics(collected):
        names += [f"test/{name}", *([f"test/{name}_se"] if Metric.parse(name).by_user else [])]
    rows = []
    for cell in collected.best:
        values = [repr(cell.metrics[name]) if name in cell.metrics else "" for name in names]
        params = (_param(cell, "l2"), _param(cell, "dropout"))
        tuned = ("", "") if cell.evaluations is None else (str(cell.evaluations), cell.tuned_by)
        rows.append((cell.method, cell.rank_text, *params, *values, cell.run.tags["run_key"], cell.run.id, *tuned))
    header = ("method", "rank", "l2", "dropout", *names, "run_key", "run_id", "tune_evaluations", "tuned_by")
    return Table("Numbers", header, tuple(rows))


def dataset_table(collected: Collected, reader: Reader) -> Table:
    """The summary of the data set that the cells were measured on; empty if none of them logged it."""
    rows = []
    summaries = (reader.tree(cell, "dataset.json") for cell in reversed(collected.best))
    for name, value in next(filter(None, summaries), {}).items():
        if name == "sha256":
            continue
        text = f"{value:,}" if isinstance(value, int) else f"{value}"[:24]
        if isinstance(value, dict):
            text = ", ".join(f"{_whole(number)} ({level})" for level, number in value.items())
        rows.append((name.replace("_", " "), text))
    return Table("Data set", ("", "value"), tuple(rows), caption="After the filter and the split.")


def _whole(value: object) -> str:
    return f"{value:,.0f}" if isinstance(value, int | float) else f"{value}"[:24]


def series(collected: Collected, metric: str, *roles: str, methods: Collection[str] | None = None) -> list[Series]:
    """One line for each method with one of the roles and the metric, with standard errors if they were logged.

    `methods` limits them; None: all. If some cells were tuned and others not, the labels tell which.
    """
    cells = [cell for cell in collected.best if metric in cell.metrics and cell.look.role in roles]
    cells = [cell for cell in cells if methods is None or cell.method in methods]
    mixed = len({cell.evaluations is None for cell in cells}) > 1
    lines = []
    for _, group in itertools.groupby(cells, key=lambda cell: cell.method):
        own = list(group)
        known = all(f"{metric}_se" in cell.metrics for cell in own)
        errors = [cell.metrics[f"{metric}_se"] for cell in own] if known else None
        ranks, values = [cell.rank for cell in own], [cell.metrics[metric] for cell in own]
        lines.append(Series(marked(own[0].look.label, own, mixed), own[0].look.style, ranks, values, errors))
    return lines


def _param(cell: StoredCell, name: str) -> str:
    value = cell.run.params.get(name)
    return "" if value is None else f"{float(value):.4g}"
