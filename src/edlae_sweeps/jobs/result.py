"""The result of one cell, and the names, parameters and tags that a store knows it by."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any

from edlae_sweeps.datasets import Prepared
from edlae_sweeps.methods import Method, Rank
from edlae_sweeps.methods.products import BY_PRODUCTS
from edlae_sweeps.settings import Settings, run_key
from edlae_sweeps.tracking import StoredRun, origin_tags


@dataclass(frozen=True)
class Result:
    """The result of one (method, rank), complete and immutable: result.json and the MLflow run have the same content.

    `name` is that of the output folder; the run's name says more. `history` holds the values by epoch, from 1, of an
    iterative method's metrics. `baseline` holds the metrics of the popularity baseline, baseline/*, if they are known:
    they belong to the job, and are among `metrics` only where the cell is the whole job.
    """

    name: str
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    history: Mapping[str, Sequence[float]]
    baseline: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for part in fields(self)[1:]:
            object.__setattr__(self, part.name, MappingProxyType(dict(getattr(self, part.name))))

    def json(self) -> str:
        """The text of result.json."""
        content = {part.name: getattr(self, part.name) for part in fields(self) if part.name != "baseline"}
        return json.dumps({k: dict(v) if isinstance(v, Mapping) else v for k, v in content.items()}, indent=2)

    @property
    def method(self) -> str:
        """The method's name in tables, where fits from products are named apart."""
        return f"{self.params['method']}{BY_PRODUCTS if self.tags.get('gram') == 'products' else ''}"

    @property
    def shared(self) -> bool:
        """Whether the rank shared its factorisation with others: its time is not that of a stand-alone fit."""
        return self.tags["shared"] == "true"


def cell_name(settings: Settings, rank: Rank) -> str:
    """`closed-k500`, or `closed-full`."""
    return f"{settings.method.name}-{rank}" if rank == "full" else f"{settings.method.name}-k{rank}"


def cell_params(settings: Settings, method: Method[Any], rank: object) -> dict[str, Any]:
    """The parameters of a run. The seed of a method that has one is the method's."""
    return {
        "dataset": settings.dataset.label,
        "method": method.name,
        "rank": rank,
        "tune": settings.tune.name,
        "dtype": settings.dtype,
        "seed": settings.seed,
        # Cells of a dense G are older than the choice.
        **({"gram": settings.gram} if settings.by_products else {}),
        **method.params(settings.by_products),
    }


def cell_tags(settings: Settings, data: Prepared, rank: Rank, shared: bool) -> dict[str, str]:
    """What identifies a result, and where it was measured."""
    limit = settings.method.limit
    return {
        "kind": "cell",
        "run_key": run_key(settings, data, rank),
        "shared": str(shared).lower(),
        **({"gram": settings.gram} if settings.by_products else {}),
        **({"repeat": str(settings.repeat)} if settings.repeat else {}),
        # The method that supplies the full-rank model, if it is another one.
        **({"limit": limit} if rank == "full" and limit and limit != settings.method.name else {}),
        **origin_tags(data.digest),
    }


def stored_result(name: str, run: StoredRun, parent: StoredRun | None) -> Result:
    """A result as the store has it; `parent` is the run of its job, which has the baseline."""
    numbers = {name: float(run.params[name]) for name in ("l2", "dropout") if name in run.params}
    # The first wave logged the baseline on each cell.
    metrics = {**(parent.metrics if parent else {}), **run.metrics}
    baseline = {name: value for name, value in metrics.items() if name.startswith("baseline/")}
    return Result(name, {**run.params, **numbers}, run.metrics, run.tags, {}, baseline)
