"""The report on one data set: collect cells, make tables and figures, write the page, log it all as a run."""

import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edlae_sweeps.datasets.base import is_plain
from edlae_sweeps.disk import remove_leftovers, whole
from edlae_sweeps.errors import DataError
from edlae_sweeps.reporting.collect import Collected, collect
from edlae_sweeps.reporting.commands import missing_ranks
from edlae_sweeps.reporting.curves import accuracy_table, dataset_table, further_metrics, numbers_table
from edlae_sweeps.reporting.diagonals import diagonal_pairs, diagonal_table
from edlae_sweeps.reporting.figures import (
    accuracy_figures,
    diagonal_figures,
    epoch_figures,
    proposition_figures,
    split_figures,
    training_figure,
)
from edlae_sweeps.reporting.further import further_table, tail_figures
from edlae_sweeps.reporting.page import Contents, page
from edlae_sweeps.reporting.pairs import compare, pairs_table, statistics_table
from edlae_sweeps.reporting.popularity import popularity, popularity_table
from edlae_sweeps.reporting.proposition import proposition_table, read_trials
from edlae_sweeps.reporting.reader import Reader
from edlae_sweeps.reporting.sandwich import sandwich, sandwich_figures, sandwich_table
from edlae_sweeps.reporting.speedup import speed_up, speedup_table
from edlae_sweeps.reporting.splits import find_splits, split_rows, splits_table
from edlae_sweeps.reporting.tables import Table
from edlae_sweeps.settings import METRICS, command, dataset_overrides
from edlae_sweeps.tracking import DatasetRecord, Experiment, Store

_STEPS = 4


@dataclass(frozen=True)
class Report:
    """The page of a report, and one line for each group of cells that it leaves out."""

    page: Path
    left_out: list[str]


def report(store: Store, name: str, folder: Path, advance: Callable[[int, int], None]) -> Report:
    """Write the report on the data set `name` to `folder`/`name`; DataError if it has no finished cell.

    `advance(done, total)` is called after each step.
    """
    experiment = _experiment(store, name, folder)
    collected = collect(experiment)
    if not collected.best:
        raise DataError(f"datasets: {name} has no finished cell yet; run {command(dataset_overrides(name))} first")
    remove_leftovers(folder)
    # Written beside the previous report, which stays until this one is complete.
    with whole(folder / name) as target:
        target.mkdir()
        left_out = _write(name, experiment, collected, target, advance)
        shutil.rmtree(folder / name, ignore_errors=True)
    files = sorted(path for path in (folder / name).iterdir() if path.is_file())
    cells = len(collected.best)
    params = {"dataset": name, "cells": cells}
    experiment.record(f"report-{name}", {"kind": "report"}, params, [("report/cells", float(cells), 0)], files=files)
    advance(_STEPS, _STEPS)
    return Report(folder / name / "index.html", left_out)


def _experiment(store: Store, name: str, folder: Path) -> Experiment:
    """The experiment of the data set; DataError if the store has none or its name can't name a folder."""
    names = store.existing()
    if name not in names:
        raise DataError(f"datasets: the store has no runs of {name}; it has {', '.join(names) or 'none'}")
    if not is_plain(name):
        raise DataError(f"datasets: {name} can't name a folder of {folder}")
    return store.experiment(name, DatasetRecord(name, ""), [])


def _write(
    name: str, experiment: Experiment, collected: Collected, target: Path, advance: Callable[[int, int], None]
) -> list[str]:
    """Write tables, figures and the page to `target`; return what the report leaves out."""
    with tempfile.TemporaryDirectory() as temporary:
        reader = Reader(experiment, Path(temporary))
        pairs = compare(collected, reader)
        splits, bounds = find_splits(collected, reader), sandwich(collected)
        rows = split_rows(collected, splits)
        advance(1, _STEPS)
        speed, trials = speed_up(collected), read_trials(collected, reader)
        diagonals = diagonal_pairs(collected, reader)
        baseline = popularity(collected, experiment, (*METRICS, *further_metrics(collected)))
        made = {
            "accuracy": accuracy_table(collected, baseline),
            "pairs": pairs_table(collected, pairs),
            "statistics": statistics_table(collected, pairs) if pairs else None,
            "diagonal": diagonal_table(collected, diagonals),
            "dataset": dataset_table(collected, reader),
            "splits": splits_table(collected, splits, rows) if rows else None,
            "further": further_table(collected, baseline),
            "sandwich": sandwich_table(bounds) if bounds else None,
            "speedup": speedup_table(speed.timings) if speed.timings else None,
            "proposition": proposition_table(collected, trials) if trials else None,
        }
        tables = {title: table for title, table in made.items() if table is not None}
        figures = [
            *accuracy_figures(name, collected, pairs, target),
            *split_figures(name, collected, rows, target),
            *tail_figures(name, collected, target),
            training_figure(name, collected, target),
            *sandwich_figures(name, bounds, target),
            *epoch_figures(name, collected, reader, target),
            *diagonal_figures(name, collected, diagonals, target),
            *proposition_figures(name, list(trials.values()), target),
        ]
        advance(2, _STEPS)
        missing = missing_ranks(collected.best, splits.reported, reader)
        left_out = [*reader.lost, *splits.left_out, *missing, *speed.left_out]
        contents = Contents(figures, list(tables.values()), splits, speed.machine, left_out)
        (target / "index.html").write_text(page(name, collected, contents, reader), encoding="utf-8")
    numbers = {"numbers": numbers_table(collected), **({"popularity": popularity_table(baseline)} if baseline else {})}
    _write_tables(tables, numbers, target)
    advance(3, _STEPS)
    return left_out


def _write_tables(tables: Mapping[str, Table], numbers: Mapping[str, Table], target: Path) -> None:
    # Numbers in full precision are for programs.
    for name, table in numbers.items():
        (target / f"{name}.csv").write_text(table.csv(), encoding="utf-8")
    for name, table in tables.items():
        for suffix, text in (("csv", table.csv()), ("md", table.markdown()), ("tex", table.latex())):
            (target / f"{name}.{suffix}").write_text(text, encoding="utf-8")
