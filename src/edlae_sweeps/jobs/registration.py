"""Registering the model of a cell: which cell is best, and whether its model becomes the champion."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from edlae_sweeps.datasets import read_arrays
from edlae_sweeps.errors import DataError, TrackingError
from edlae_sweeps.methods import METHODS
from edlae_sweeps.serving.champion import Comparison, compare
from edlae_sweeps.serving.registry import Registry, Version, check_name
from edlae_sweeps.settings import Refit, command, dataset_overrides
from edlae_sweeps.tracking import DatasetRecord, Experiment, Store, StoredRun, warn_of
from edlae_sweeps.tracking.stops import stops_deferred

_METRIC = "validation/ndcg_100"
# Cells that agree in these have the same users.
_SAME_DATA = ("data_digest", "results_version")


@dataclass(frozen=True)
class Candidate:
    """A finished cell, in the experiment of its data set."""

    experiment: Experiment
    cell: StoredRun

    @property
    def dataset(self) -> str:
        """The name of the data set, and of its registered model."""
        return self.experiment.dataset.name


@dataclass(frozen=True)
class Fitted:
    """The model to register: the run that logged it, and the run whose metrics are its own or the split model's."""

    model_run: str
    measured: StoredRun
    refit: Refit


@dataclass(frozen=True)
class Verdict:
    """Whether a version becomes the champion, and why."""

    promoted: bool
    reason: str


def best_cell(store: Store, name: str, methods: Sequence[str] | None) -> Candidate:
    """The cell of a data set with the best validation nDCG@100, of the newest data.

    `methods` are those to choose from; None: those that a report compares. Raises DataError if there is no such cell or
    the name of the data set can't name a model.
    """
    names = store.existing()
    if name not in names:
        raise DataError(f"datasets: the store has no runs of {name}; it has {', '.join(names) or 'none'}")
    check_name(name)
    experiment = store.experiment(name, DatasetRecord(name, ""), [])
    cells = experiment.cells()
    chosen = [cell for cell in cells if _competes(cell.params["method"], methods)]
    if not chosen:
        available = ", ".join(sorted({cell.params["method"] for cell in cells}))
        if not available:
            raise DataError(f"datasets: {name} has no finished cell yet; run {command(dataset_overrides(name))} first")
        asked = f"of {', '.join(methods)}" if methods else "that competes in a report"
        raise DataError(f"datasets: {name} has no finished cell {asked}; choose methods from {available}")
    newest = chosen[-1]
    alike = [cell for cell in chosen if all(cell.tags.get(tag) == newest.tags.get(tag) for tag in _SAME_DATA)]
    # Of equal cells one that kept its model, then the newest: the sort is stable.
    alike.reverse()
    ordered = sorted(alike, key=lambda cell: (-cell.metrics[_METRIC], "model" not in cell.tags))
    best = next((cell for cell in ordered if _is_whole(experiment, cell)), None)
    if best is None:
        raise DataError(f"datasets: no finished cell of {name} has its artifacts still; run its jobs again")
    return candidate_of(experiment, best)


def _is_whole(experiment: Experiment, cell: StoredRun) -> bool:
    """Whether a cell has the artifacts that a registration reads; a warning names one that has not."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            for name in ("per_user.npz", "config.yaml"):
                experiment.fetch(cell.id, name, Path(folder))
    except TrackingError:
        warn_of(cell.id, f"its artifact {name} is gone")
        return False
    return True


def candidate_of(experiment: Experiment, cell: StoredRun) -> Candidate:
    """A cell in its experiment, whose record of the data set gets the digest of the cell's data."""
    record = DatasetRecord(experiment.dataset.name, cell.tags["data_digest"])
    return Candidate(replace(experiment, dataset=record), cell)


def registered_version(registry: Registry, candidate: Candidate, refit: Refit) -> Version | None:
    """The version that this cell was registered as, or one with the same run key; None if there is none."""
    cell = candidate.cell
    for version in registry.versions(candidate.dataset):
        same_run = cell.id in (version.tags.get("cell"), version.run_id)
        same_key = version.tags.get("run_key") == cell.tags["run_key"]
        if (same_run or same_key) and version.tags.get("refit", "split") == refit:
            return version
    return None


def register_model(
    registry: Registry, candidate: Candidate, fitted: Fitted, champion: bool | None
) -> tuple[Version, Verdict]:
    """Register a fitted cell as the next version of the data set's model; move the alias champion if it wins.

    `champion` overrides the comparison. Raises TrackingError if the run has no logged model.
    """
    experiment, cell = candidate.experiment, candidate.cell
    model = registry.logged_model(experiment.id, fitted.model_run)
    if model is None:
        raise TrackingError(f"run {fitted.model_run} has no logged model: run its job again with save_model=true")
    verdict = _judge(experiment, fitted.measured, registry.champion(candidate.dataset), champion)
    tags = {
        "cell": cell.id,
        "measured": fitted.measured.id,
        "run_key": cell.tags["run_key"],
        "data_digest": cell.tags["data_digest"],
        "method": cell.params["method"],
        "rank": cell.params["rank"],
        "refit": fitted.refit,
        "test/ndcg_100": f"{fitted.measured.metrics['test/ndcg_100']:.6f}",
    }
    # A version without its alias would stay behind as registered already.
    with stops_deferred():
        version = registry.register(candidate.dataset, model, tags, _description(candidate, fitted, verdict))
        if verdict.promoted:
            registry.promote(version)
    return version, verdict


def accuracy(run: StoredRun) -> str:
    """The test nDCG@100 of a run and its standard error."""
    return f"{run.metrics['test/ndcg_100']:.4f} ± {run.metrics['test/ndcg_100_se']:.4f}"


def in_words(cell: StoredRun) -> str:
    """Method, rank and penalty of a cell: `closed, rank 500, λ 10, p 0.1`."""
    names = {"l2": "λ", "dropout": "p"}
    penalty = [f"{symbol} {float(cell.params[name]):.4g}" for name, symbol in names.items() if name in cell.params]
    return ", ".join([cell.params["method"], f"rank {cell.params['rank']}", *penalty])


def _competes(method: str, methods: Sequence[str] | None) -> bool:
    if methods is not None:
        return method in methods
    return method in METHODS and METHODS[method].look.role == "compared"


def _judge(experiment: Experiment, measured: StoredRun, present: Version | None, champion: bool | None) -> Verdict:
    """Whether a model takes the place of the present champion."""
    if present is None:
        return Verdict(champion is not False, "there was none" if champion is not False else "champion=false")
    result = _compare(experiment, measured, present)
    if isinstance(result, str):
        beats, reason = False, f"it can't be compared with version {present.number}: {result}"
    else:
        beats, reason = result.beats, f"against version {present.number}: {result}"
        if not result.beats:
            reason += "; it takes 1.96 standard errors, or champion=true, to replace it"
    if champion is not None:
        reason += f"; champion={str(champion).lower()}"
    return Verdict(beats if champion is None else champion, reason)


def _compare(experiment: Experiment, measured: StoredRun, present: Version) -> Comparison | str:
    """The comparison with the champion, or why there is none."""
    digest = present.tags.get("data_digest")
    if digest is not None and digest != measured.tags["data_digest"]:
        return f"its data are others (SHA-256 {digest[:12]}), so the test users differ"
    try:
        theirs = _per_user(experiment, present.tags.get("measured", present.run_id))
    except TrackingError:
        return "its metrics of each user are gone"
    return compare(_per_user(experiment, measured.id), theirs) or "its test users differ"


def _per_user(experiment: Experiment, run_id: str) -> Mapping[str, NDArray[Any]]:
    """The metrics of each test user; TrackingError if they are gone or damaged."""
    with tempfile.TemporaryDirectory() as folder:
        file = experiment.fetch(run_id, "per_user.npz", Path(folder))
        try:
            return read_arrays(file)
        # On damaged bytes, zipfile and NumPy raise nearly anything.
        except Exception as error:
            raise TrackingError(
                f"run {run_id}: its per_user.npz is damaged; compute it again with skip_finished=false"
            ) from error


def _description(candidate: Candidate, fitted: Fitted, verdict: Verdict) -> str:
    """The description of a version, in Markdown."""
    cell, measured = candidate.cell, fitted.measured
    lines = [
        f"{in_words(cell)}, on {candidate.dataset}",
        "",
        f"- test nDCG@100 {accuracy(measured)} on {measured.metrics['test/users']:,.0f} users, run {measured.id}",
        f"- {'champion' if verdict.promoted else 'not champion'}: {verdict.reason}",
        f"- data: SHA-256 {cell.tags['data_digest']}",
    ]
    if fitted.refit == "all":
        lines.append(
            f"- refit=all: fitted on all users with complete histories (run {fitted.model_run}); the test metrics are "
            "those of the same method fitted on the training users alone"
        )
    return "\n".join(lines)
