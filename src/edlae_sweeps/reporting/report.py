"""One data set's report: collect → tables and figures → page, in a folder and as artifacts of a run."""

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edlae_sweeps.datasets.base import is_plain
from edlae_sweeps.errors import DataError
from edlae_sweeps.plots import Epochs, Series, plot_curves, plot_diagonal, plot_epochs, plot_proposition, plot_training
from edlae_sweeps.reporting.collect import UNREGULARISED, Collected, Entry, collect
from edlae_sweeps.reporting.curves import METRICS, accuracy_table, dataset_table, numbers_table
from edlae_sweeps.reporting.diagonals import diagonal_table, diagonals_of
from edlae_sweeps.reporting.page import Figure, command, page
from edlae_sweeps.reporting.pairs import Pair, compare, pairs_table
from edlae_sweeps.reporting.proposition import proposition_table, trials
from edlae_sweeps.reporting.speedup import speedup_table, timings
from edlae_sweeps.reporting.tables import Table
from edlae_sweeps.tracking import DatasetRecord, Experiment, Store

# Ranks of ADMM whose epochs are shown.
_MOST_EPOCH_LINES = 6


@dataclass(frozen=True)
class Report:
    """Where the report of a data set is, and what it had to leave out."""

    page: Path
    left_out: list[str]


def report(store: Store, name: str, folder: Path, advance: Callable[[int, int], None]) -> Report:
    """Write the report of the data set `name` to `folder`/`name`; DataError where it has no finished cell."""
    if name not in store.existing():
        known = ", ".join(store.existing()) or "none"
        raise DataError(f"datasets: the store has no runs of {name}; it has {known}")
    if not is_plain(name):
        raise DataError(f"datasets: {name} can't name a folder of {folder}")
    experiment = store.experiment(name, DatasetRecord(name, "", "{}"), [])
    collected = collect(experiment)
    if not collected.best:
        raise DataError(f"datasets: {name} has no finished cell yet; run python -m edlae_sweeps dataset={name} first")
    folder.mkdir(parents=True, exist_ok=True)
    # Made beside it, an earlier report stays until this one is whole.
    target = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=folder))
    try:
        made = _make(name, experiment, collected, target, advance)
        shutil.rmtree(folder / name, ignore_errors=True)
        target.rename(folder / name)
    finally:
        shutil.rmtree(target, ignore_errors=True)
    files = sorted(path for path in (folder / name).iterdir() if path.is_file())
    params = {"dataset": name, "cells": len(collected.best)}
    with experiment.run(f"report-{name}", {"kind": "report"}, params) as run:
        run.log({"report/cells": float(len(collected.best))}, {}, files, {})
    advance(4, 4)
    return Report(folder / name / "index.html", made)


def _make(
    name: str, experiment: Experiment, collected: Collected, target: Path, advance: Callable[[int, int], None]
) -> list[str]:
    """Tables, figures and the page, in `target`; what had to be left out."""
    with tempfile.TemporaryDirectory() as temporary:
        pairs = compare(collected, experiment, Path(temporary))
        advance(1, 4)
        found, machine, refused = timings(collected)
        tables = {"accuracy": accuracy_table(collected), "pairs": pairs_table(collected, pairs)}
        tables["diagonal"] = diagonal_table(collected, experiment, Path(temporary))
        tables["dataset"] = dataset_table(experiment, collected.best[-1], Path(temporary))
        if found:
            tables["speedup"] = speedup_table(found)
        if deep := trials(collected, experiment):
            tables["proposition"] = proposition_table(deep)
        figures = _figures(name, collected, pairs, experiment, Path(temporary), target)
        commands = [(entry, command(experiment, entry, Path(temporary))) for entry in collected.best]
    advance(2, 4)
    _write_tables({**tables, "numbers": numbers_table(collected)}, target)
    left_out = [*collected.left_out, *refused]
    text = page(name, collected, figures, list(tables.values()), commands, machine, left_out)
    (target / "index.html").write_text(text, encoding="utf-8")
    advance(3, 4)
    return left_out


def _figures(
    name: str, collected: Collected, pairs: Sequence[Pair], experiment: Experiment, temporary: Path, target: Path
) -> list[Figure]:
    # They would flatten the others.
    curves = {
        metric: [line for line in _series(collected, f"test/{metric}") if line.method not in UNREGULARISED]
        for metric in METRICS
    }
    others = dict.fromkeys(pair.other for pair in pairs)
    differences = [
        Series(other, *zip(*((p.rank, p.difference, p.error) for p in pairs if p.other == other), strict=True))
        for other in others
    ]
    found = [
        Figure(
            "Accuracy by rank",
            "Test metrics over the rank of the model for each method, and the paired differences to the closed form.",
            plot_curves(f"{name}: accuracy by rank", curves, differences, target / "figure1"),
        ),
        Figure(
            "Fit to the training data",
            "Squared error and objective over rank; no autoencoder of a rank can have less squared error than the SVD.",
            plot_training(
                f"{name}: training", _series(collected, "train/squared_error"), _series(collected, "train/objective"),
                target / "training",
            ),
        ),
    ]  # fmt: skip
    if epochs := _epochs(collected, experiment):
        files = plot_epochs(f"{name}: is ten epochs of ADMM enough?", epochs, target / "epochs")
        found.append(Figure("ADMM by epoch", "Objective of ADMM over epochs and seconds for some ranks.", files))
    low = [entry for entry in collected.of("closed") if "residual/diagonal" in entry.metrics]
    if low:
        on, off = ([entry.metrics[f"residual/{part}"] for entry in low] for part in ("diagonal", "off_diagonal"))
        found_diagonals = diagonals_of(collected, experiment, temporary)
        middle = list(found_diagonals)[len(found_diagonals) // 2] if found_diagonals else None
        scatter = (f"rank {middle}", *found_diagonals[middle]) if middle else None
        files = plot_diagonal(f"{name}: the diagonal", ([e.rank for e in low], on, off), scatter, target / "diagonal")
        found.append(Figure("The diagonal", "Residual on and off the diagonal, and learned diagonals compared.", files))
    if deep := trials(collected, experiment):
        files = plot_proposition(f"{name}: nonlinear autoencoders and their bound", deep, target / "proposition")
        shown = "Squared error of deep autoencoders over the bound of their rank, and their accuracy over depth."
        found.append(Figure("The Proposition", shown, files))
    return found


def _series(collected: Collected, metric: str) -> list[Series]:
    """A line a method that has the metric, with standard errors if any; deep autoencoders have their own picture."""
    lines = []
    for method in collected.methods:
        cells = [cell for cell in collected.of(method) if metric in cell.metrics]
        if method == "deep" or not cells:
            continue
        errors = [cell.metrics[f"{metric}_se"] for cell in cells] if f"{metric}_se" in cells[0].metrics else None
        lines.append(Series(method, [cell.rank for cell in cells], [cell.metrics[metric] for cell in cells], errors))
    return lines


def _epochs(collected: Collected, experiment: Experiment) -> dict[int, Epochs]:
    """ADMM by rank; the closed form's objective where λ and p are the same, its nDCG wherever there is one."""
    found: dict[int, Epochs] = {}
    cells = [entry for entry in collected.of("admm") if entry.rank is not None]
    for entry in cells[:: -(-len(cells) // _MOST_EPOCH_LINES) if cells else 1]:
        objectives = experiment.history(entry.run.id, "train/objective")
        # Their last value has no final one after it.
        seconds = [*experiment.history(entry.run.id, "time/elapsed_seconds"), entry.metrics["time/elapsed_seconds"]]
        closed = collected.at("closed", entry.rank)
        same = closed is not None and all(_param(closed, key) == _param(entry, key) for key in ("l2", "dropout"))
        found[entry.rank or 0] = Epochs(
            seconds[: len(objectives)],
            objectives,
            experiment.history(entry.run.id, "validation/ndcg_100"),
            closed.metrics["train/objective"] if closed and same else None,
            closed.metrics["validation/ndcg_100"] if closed else None,
        )
    return found


def _param(entry: Entry, name: str) -> float:
    return float(entry.run.params[name])


def _write_tables(tables: Mapping[str, Table], target: Path) -> None:
    for name, table in tables.items():
        for suffix, text in (("csv", table.csv()), ("md", table.markdown()), ("tex", table.latex())):
            # Numbers in full precision are for programs.
            if name == "numbers" and suffix != "csv":
                continue
            (target / f"{name}.{suffix}").write_text(text, encoding="utf-8")
