"""The popularity baseline of the reported data: every user gets the most popular items."""

from collections.abc import Iterable, Mapping

from edlae_sweeps.reporting.collect import Collected
from edlae_sweeps.reporting.tables import Table
from edlae_sweeps.tracking import Experiment

NAME = "popularity"
_PREFIX = "baseline/"
_PARENT = "mlflow.parentRunId"


def popularity(collected: Collected, experiment: Experiment, names: Iterable[str]) -> dict[str, float]:
    """The test metrics `names` of popularity, with standard errors where there are; empty if no job logged it.

    A job of one rank logs them on its cell, and one of several on their parent. They depend on the data alone, so that
    every job of the reported cells has the same.
    """
    values: dict[str, float] = {}
    wanted = set(names)
    for cell in collected.best:
        values |= _baseline(cell.run.metrics)
    parents = dict.fromkeys(parent for cell in collected.best if (parent := cell.run.tags.get(_PARENT)))
    for parent in parents:
        if wanted <= values.keys():
            break
        run = experiment.get(parent)
        values |= _baseline(run.metrics) if run else {}
    return values


def popularity_table(baseline: Mapping[str, float]) -> Table:
    """The test metrics of popularity in full precision, one a row, with standard errors where there are."""
    rows = [
        (name, repr(value), repr(baseline[error]) if (error := f"{name}_se") in baseline else "")
        for name, value in baseline.items()
        if not name.endswith("_se")
    ]
    return Table("Popularity", ("metric", "value", "standard error"), tuple(rows))


def _baseline(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name.removeprefix(_PREFIX): value for name, value in metrics.items() if name.startswith(_PREFIX)}
