"""Repeats over splits: how much test nDCG@100, and the differences between methods, vary with the split.

Repeats are cells of the same data, settings of the split, type and version, whose splits have other seeds.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from edlae_sweeps.plots import SplitPanel
from edlae_sweeps.reporting.collect import PROTOCOL, Collected, StoredCell, best_cells
from edlae_sweeps.reporting.reader import Reader
from edlae_sweeps.reporting.statistics import over_splits
from edlae_sweeps.reporting.tables import Table
from edlae_sweeps.reporting.texts import counted, signed
from edlae_sweeps.reporting.tuned import alike, tuning_of_all

# Settings of a data set that do not determine its split.
_NO_PART_OF_THE_SPLIT = ("start", "search")
_SEED = "split_seed"
# Counts that are the same for every split of the same data: with them, changed data are not taken for another split.
_COUNTS = ("users", "events", "training_users", "heldout_users")
_NOTE = (
    "For each method and rank the cell that validated best on each split. Difference: {reference} − method within each "
    "split, then mean, SD and 95 % interval over splits: the corrected resampled t (Nadeau & Bengio 2003), which "
    "allows for the users that splits share (test / training users: {overlap:.3f}), but not for the number of "
    "comparisons. Same sign: the number of splits whose difference has the sign of the mean. The rest of this report "
    "is about the split of seed {reported}."
)


@dataclass(frozen=True)
class Splits:
    """Repeats over splits.

    cells     seed of a split → its best cells, the reported split among them; empty if there is only that
    reported  the seed of the reported split, if there are others
    overlap   test users / training users
    left_out  one line for each group of cells that is neither reported nor a repeat
    """

    cells: Mapping[int, Sequence[StoredCell]]
    reported: int | None
    overlap: float
    left_out: list[str]


@dataclass(frozen=True)
class Row:
    """One (method, rank) over splits.

    cells        its cell on each split that has one
    differences  reference − method on each split that has both, tuned alike
    unlike       splits that have both, which were not tuned alike
    interval     95 % interval of the mean difference; None for fewer than two differences
    """

    cells: Sequence[StoredCell]
    differences: Sequence[float]
    unlike: int
    interval: tuple[float, float] | None

    @property
    def values(self) -> list[float]:
        """Test nDCG@100 on each split."""
        return [_ndcg(cell) for cell in self.cells]


def find_splits(collected: Collected, reader: Reader) -> Splits:
    """The repeats of the reported cells among the others of the data set."""
    reported = collected.best[0]
    own = _split(reported, reader)
    groups: dict[int, list[StoredCell]] = {}
    left_out = []
    for protocol, cells in collected.others.items():
        other = _split(cells[0], reader) if own and protocol[1:] == reported.protocol[1:] else None
        if not (own and other and own[0] == other[0] and own[1] != other[1]):
            left_out.append(_left_out(cells))
            continue
        # Of data that differ although their seeds, settings and counts agree, those with more cells count.
        fewer, more = sorted((groups.get(other[1], []), cells), key=len)
        groups[other[1]] = more
        if fewer:
            left_out.append(_left_out(fewer))
    if not own or not groups:
        return Splits({}, None, 0.0, left_out)
    counts = reader.tree(reported, "dataset.json")
    best = {seed: best_cells(cells) for seed, cells in groups.items()} | {own[1]: collected.best}
    overlap = counts["heldout_users"] / counts["training_users"]
    return Splits(dict(sorted(best.items())), own[1], overlap, left_out)


def _split(cell: StoredCell, reader: Reader) -> tuple[str, int] | None:
    """What splits of the same data with the same settings agree in, and the seed; None if they were not logged."""
    settings, counts = reader.tree(cell, "config.yaml").get("dataset"), reader.tree(cell, "dataset.json")
    if not isinstance(settings, dict) or not isinstance(settings.get(_SEED), int):
        return None
    if not all(_is_count(counts.get(name)) for name in _COUNTS):
        return None
    same = {name: value for name, value in settings.items() if name not in (_SEED, *_NO_PART_OF_THE_SPLIT)}
    try:
        key = json.dumps([same, *(counts[name] for name in _COUNTS)], sort_keys=True, default=str)
    # YAML has keys without an order, and references in a circle.
    except (TypeError, ValueError):
        return None
    return key, settings[_SEED]


def _is_count(value: object) -> bool:
    return isinstance(value, int) and value > 0


def _left_out(cells: Sequence[StoredCell]) -> str:
    """Which cells the report leaves out."""
    values = zip(PROTOCOL, cells[0].protocol, strict=True)
    return f"{counted(len(cells), 'cell')} with " + ", ".join(f"{name} {value[:12]}" for name, value in values)


def split_rows(collected: Collected, splits: Splits) -> list[Row]:
    """One row for each compared method and rank of any split, in order."""
    by_split = [{cell.order: cell for cell in cells if cell.look.role == "compared"} for cells in splits.cells.values()]
    references = [
        {cell.rank: cell for cell in cells if cell.method == collected.reference} for cells in splits.cells.values()
    ]
    rows = []
    for order in sorted({order for cells in by_split for order in cells}):
        own = [cells.get(order) for cells in by_split]
        cells = [cell for cell in own if cell]
        pairs = [
            (ours[cell.rank], cell)
            for ours, cell in zip(references, own, strict=True)
            if cell and cell.method != collected.reference and cell.rank in ours
        ]
        differences = [_ndcg(reference) - _ndcg(cell) for reference, cell in pairs if alike(reference, cell)]
        interval = over_splits(differences, splits.overlap)
        rows.append(Row(cells, differences, len(pairs) - len(differences), interval))
    return rows


def splits_table(collected: Collected, splits: Splits, rows: Sequence[Row]) -> Table:
    """One row per method and rank: its test nDCG@100 over splits, and its paired differences to the reference."""
    header = ("method", "rank", "splits", "mean", "SD", "range", f"{collected.reference} − method", "SD of differences",
              "95 % interval", "same sign", "parameters")  # fmt: skip
    lines = []
    for row in rows:
        values, cell = row.values, row.cells[0]
        spread = f"{min(values):.4f} to {max(values):.4f}"
        accuracy = (str(len(values)), f"{fmean(values):.4f}", _deviation(values), spread)
        lines.append((cell.method, cell.rank_text, *accuracy, *_differences(row), tuning_of_all(row.cells)))
    note = _NOTE.format(reference=collected.reference, overlap=splits.overlap, reported=splits.reported)
    if len({len(row.cells) for row in rows}) > 1:
        note += " Some rows lack splits: compare methods by the differences, not by the means."
    if unlike := sum(row.unlike for row in rows):
        note += f" {counted(unlike, 'difference')} of cells of a split that were not tuned alike: not shown."
    title = f"Over splits: test nDCG@100 on {len(splits.cells)} splits, seeds {', '.join(map(str, splits.cells))}"
    caption = "For each method and rank, the spread over splits and the paired difference within each."
    return Table(title, header, tuple(lines), caption=caption, note=note, keys=2)


def split_panels(rows: Iterable[Row]) -> list[SplitPanel]:
    """One panel for each competitor that has differences."""
    panels: dict[str, SplitPanel] = {}
    for row in rows:
        if row.differences:
            cell = row.cells[0]
            panel = panels.setdefault(cell.method, SplitPanel(cell.look.label, cell.look.style, [], [], []))
            panel.ranks.append(cell.rank)
            panel.differences.append(row.differences)
            panel.intervals.append(row.interval)
    return list(panels.values())


def _differences(row: Row) -> tuple[str, str, str, str]:
    """Mean, SD, interval, and how many have the sign of the mean."""
    if not row.differences:
        return "", "", "", ""
    mean = fmean(row.differences)
    same = sum(difference * mean > 0 for difference in row.differences)
    interval = "" if row.interval is None else f"{signed(row.interval[0])} to {signed(row.interval[1])}"
    return signed(mean), _deviation(row.differences), interval, f"{same} of {len(row.differences)}"


def _deviation(values: Sequence[float]) -> str:
    return f"{stdev(values):.4f}" if len(values) > 1 else ""


def _ndcg(cell: StoredCell) -> float:
    return cell.metrics["test/ndcg_100"]
