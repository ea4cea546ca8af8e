"""One job: load → Gram → (search) → each rank: fit, measure, keep, track."""

import dataclasses
import json
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edlae_sweeps import machine
from edlae_sweeps.cells import (
    Cell,
    Factorised,
    Fitted,
    Ground,
    cell_name,
    cell_params,
    cell_tags,
    factorise,
    fit_rank,
    largest,
    measure_cell,
    origin_tags,
    stored_cell,
    warm_up,
)
from edlae_sweeps.console import stage
from edlae_sweeps.datasets import Prepared, load, load_gram, summarize
from edlae_sweeps.errors import TrackingError
from edlae_sweeps.evaluation import Popularity, evaluate
from edlae_sweeps.limits import check_disk, check_memory, memory_needed
from edlae_sweeps.methods import Method, Rank
from edlae_sweeps.outputs import keep, save_model, tell_search, write_context
from edlae_sweeps.plan import print_plan
from edlae_sweeps.search import Search
from edlae_sweeps.settings import Optuna, Settings, check_against_data, run_key
from edlae_sweeps.tracking import DatasetRecord, Experiment, Run, Store

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """A job whose settings have been checked against its data and the machine; `ranks` are still to be done."""

    settings: Settings
    data: Prepared
    ranks: tuple[Rank, ...]
    output: Path
    experiment: Experiment

    @property
    def tuned(self) -> bool:
        """Whether the parameters are searched for."""
        return isinstance(self.settings.tune, Optuna)

    @property
    def parent(self) -> bool:
        """Whether the cells are nested runs below that of the job, rather than the job's only run."""
        return self.tuned or len(self.ranks) > 1

    def run(self) -> AbstractContextManager[Run]:
        """The run that stands for the whole job: that of its only cell, or the parent of its cells."""
        settings, data = self.settings, self.data
        if not self.parent:
            return self.cell_run(settings.method, self.ranks[0], False, None)
        shown = f"[{','.join(map(str, self.ranks))}]" if len(self.ranks) > 1 else self.ranks[0]
        name = f"{settings.method.name}-{'tune' if self.tuned else f'{len(self.ranks)}-ranks'}"
        tags = {"kind": "job", **origin_tags(data)}
        return self.experiment.run(name, tags, cell_params(settings, settings.method, shown))

    def cell_run(self, method: Method, rank: Rank, shared: bool, parent: Run | None) -> AbstractContextManager[Run]:
        """The run of one rank."""
        tags = cell_tags(self.settings, self.data, rank, shared)
        params = cell_params(self.settings, method, rank)
        return self.experiment.run(cell_name(self.settings, rank), tags, params, parent)


def run_job(settings: Settings, output: Path, composed: Mapping[str, str], multirun: bool = False) -> list[Cell]:
    """Run one job and return its cells, which are also in `output` and in MLflow.

    `composed` (file name → text) is kept with each result. What a user can have got wrong is checked before the first
    run is created: EdlaeSweepsError.
    """
    settings.check()
    settings.method.require()
    memory = None if settings.memory is None else int(settings.memory * machine.GIB)
    with machine.use(settings.threads, memory):
        return _run(settings, output, composed, multirun)


def _run(settings: Settings, output: Path, composed: Mapping[str, str], multirun: bool) -> list[Cell]:
    ranks = settings.ranks()
    store = Store(settings.tracking.uri, Path(settings.tracking.dir))
    if orphans := store.close_orphans():
        _log.warning("marked %d run(s) as KILLED whose process on this host is gone", orphans)
    data_dir = Path(settings.data_dir).expanduser()
    with stage(f"data: {settings.dataset.label}") as advance:
        data = load(settings.dataset, data_dir, advance)
    check_against_data(ranks, data)
    check_memory(settings, ranks, data)
    if settings.save_model:
        check_disk(settings, ranks, data, output)

    summary = summarize(data)
    _tell(summary)
    context = write_context(output, {**composed, "dataset.json": json.dumps(summary, indent=2)})
    if settings.dry_run and settings.dataset.label not in store.existing():
        # Nothing is made, not even the experiment.
        print_plan(settings, data, {}, None, memory_needed(settings, ranks, data))
        return []
    record = DatasetRecord(settings.dataset.label, data.digest, json.dumps(summary))
    experiment = store.experiment(settings.dataset.label, record, context)
    tuned = isinstance(settings.tune, Optuna)
    skip = settings.skip_finished if settings.skip_finished is not None else tuned or multirun
    done = finished(settings, data, experiment) if skip or settings.dry_run else {}
    for cell in done.values():
        _log.info("%s is finished already: test nDCG@100 %.4f", cell.name, cell.metrics["test/ndcg_100"])
    if settings.dry_run:
        pending = Search(settings, data, experiment).pending() if tuned else None
        print_plan(settings, data, done, pending, memory_needed(settings, ranks, data))
        return []
    job = Job(settings, data, tuple(rank for rank in ranks if rank not in done), output, experiment)
    if job.ranks:
        done |= dict(zip(job.ranks, _compute(job, data_dir), strict=True))
    return [done[rank] for rank in ranks]


def finished(settings: Settings, data: Prepared, experiment: Experiment) -> dict[Rank, Cell]:
    """The cells of this job that the store has already: those with the same run key."""
    found = {}
    for rank in settings.ranks():
        runs = experiment.find(f"tags.kind = 'cell' and tags.run_key = '{run_key(settings, data, rank)}'")
        # One whose search ran out of time, or whose model was not kept, is not what is asked for.
        runs = [run for run in runs if run.tags.get("search") != "cut"]
        runs = [run for run in runs if not settings.save_model or run.tags.get("model") == "kept"]
        if runs:
            found[rank] = stored_cell(runs[-1])
    return found


def _compute(job: Job, data_dir: Path) -> list[Cell]:
    """The cells of the ranks that are to be done."""
    if not job.tuned:
        with job.run() as run:
            ground = prepare_ground(job, data_dir)
            groups = [(job.settings.method, job.ranks)]
            return finish_ranks(job, ground, groups, run, None)
    search = Search(job.settings, job.data, job.experiment)
    if search.seen:
        _log.info("%d evaluations are there already, of %d", len(search.seen), search.total)
    elif others := search.others():
        _log.info("a new search: %d evaluations in the store have other data, ranges or settings", others)
    with job.run() as run:
        ground = prepare_ground(job, data_dir)
        with stage(f"tune {job.settings.method.name}") as progress:
            search.run(ground, run, progress)
        failed = [rank for rank in job.ranks if not search.succeeded(rank)]
        job = dataclasses.replace(job, ranks=tuple(rank for rank in job.ranks if rank not in failed))
        cells = finish_ranks(job, ground, _best_groups(search, job.ranks), run, search)
        # The other ranks have their results by now.
        for rank in failed:
            search.best(rank)
        return cells


def _best_groups(search: Search, ranks: Sequence[Rank]) -> list[tuple[Method, tuple[Rank, ...]]]:
    """The best parameters of each rank; ranks with the same ones share a factorisation."""
    groups: dict[tuple[float, ...], list[Rank]] = {}
    for rank in ranks:
        groups.setdefault(tuple(search.best(rank).point.values()), []).append(rank)
    return [(search.method_at(search.best(group[0]).point), tuple(group)) for group in groups.values()]


def prepare_ground(job: Job, data_dir: Path) -> Ground:
    """Gram matrix and popularity baseline."""
    start = time.perf_counter()
    if job.settings.repeat:
        # The first call of a library is slower than those that are to be timed.
        warm_up(job.settings.dtype.value)
        start = time.perf_counter()
    with stage("Gram matrix") as advance:
        gram = load_gram(job.data, job.settings.dtype.value, data_dir, advance)
    seconds = {"gram_seconds": time.perf_counter() - start}
    with stage("popularity baseline") as advance:
        baseline = evaluate(Popularity(gram.diagonal().copy()), job.data.test, advance).summary()
    return Ground(job.data.train, gram, baseline, seconds)


def finish_ranks(
    job: Job, ground: Ground, groups: Iterable[tuple[Method, tuple[Rank, ...]]], run: Run, search: Search | None
) -> list[Cell]:
    """Fit and measure each rank, keep it on disk, then track it: in `run`, or below it if that is a job's.

    When the tracking store goes away, the remaining ranks are still measured and kept.
    """
    cells: dict[Rank, Cell] = {}
    unreachable: TrackingError | None = None
    for method, ranks in groups:
        low = largest(ranks)
        with stage(f"factorise {method.name}{f' to rank {low}' if low else ''}"):
            factorised = factorise(method, ground, ranks)
        for rank in ranks:
            cells[rank], files = _finish_rank(job, ground, factorised, rank, search)
            if unreachable:
                continue
            try:
                below = job.cell_run(method, rank, factorised.shared, run) if job.parent else nullcontext(run)
                with below as tracked:
                    tracked.log(cells[rank].metrics, cells[rank].outcome, files, cells[rank].history)
            except TrackingError as error:
                unreachable = error
        # Before the next one: each is as large as the Gram matrix.
        del factorised
    if unreachable:
        raise TrackingError(f"{unreachable}; the results are in {job.output}") from unreachable
    return [cells[rank] for rank in job.ranks]


def _finish_rank(
    job: Job, ground: Ground, factorised: Factorised, rank: Rank, search: Search | None
) -> tuple[Cell, list[Path]]:
    """One rank, and its files in the output folder of the job or below it."""
    name = cell_name(job.settings, rank)
    fitted = _fit(job, factorised, rank, name)
    with stage(f"evaluate {name}") as advance:
        cell, per_user = measure_cell(job.settings, job.data, ground, factorised, rank, fitted, advance)
    folder = job.output / name if job.parent else job.output
    if search is not None:
        cell.metrics["tune/evaluations"] = float(len(search.table(rank)))
    files = keep(cell, per_user, fitted.model, folder)
    if search is not None:
        cell.outcome.update(tell_search(search, rank, folder, files))
        cell.outcome["search"] = "cut" if search.cut else "complete"
    if job.settings.save_model:
        files.append(save_model(fitted.model, job.data, folder))
        cell.outcome["model"] = "kept"
    _log.info("%s: test nDCG@100 %.4f ± %.4f", name, cell.metrics["test/ndcg_100"], cell.metrics["test/ndcg_100_se"])
    return cell, files


def _fit(job: Job, factorised: Factorised, rank: Rank, name: str) -> Fitted:
    if factorised.method.nested:
        return fit_rank(factorised, rank, None)
    with stage(f"fit {name}") as advance:
        return fit_rank(factorised, rank, advance, job.data.validation if job.settings.epoch_metrics else None)


def _tell(summary: Mapping[str, Any]) -> None:
    """The data set in three lines of the log."""
    _log.info(
        "%s training and 2 × %s held-out users, %s items, %s training events (density %.2g), SHA-256 %s",
        *(f"{summary[name]:,}" for name in ("training_users", "heldout_users", "items", "training_events")),
        summary["density"],
        summary["digest"][:12],
    )
    for name in ("items_per_user", "users_per_item"):
        quantiles = ", ".join(f"{value:,.0f} ({level})" for level, value in summary[name].items())
        _log.info("%s: %s", name.replace("_per_", " per "), quantiles)
