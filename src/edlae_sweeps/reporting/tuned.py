"""How the parameters of cells were chosen, in words: a tuned cell should not stand beside an untuned one unnoticed."""

from collections.abc import Iterable, Mapping, Sequence

from edlae_sweeps.reporting.collect import StoredCell
from edlae_sweeps.settings import METRICS, Metric, is_metric

_AS_GIVEN = "as given"
_AGAINST = "tuned against untuned"
_BY_OTHERS = "tuned by different metrics"


def tuning(cell: StoredCell) -> str:
    """`tuned, 20 evaluations`, `tuned by tail nDCG@100, 20 evaluations`, or `as given`."""
    return _AS_GIVEN if cell.evaluations is None else _tuned([cell.evaluations], cell.tuned_by)


def alike(one: StoredCell, other: StoredCell) -> bool:
    """Whether both cells were tuned by the same metric, or neither."""
    return (one.evaluations is None, one.tuned_by) == (other.evaluations is None, other.tuned_by)


def tuning_of_pair(reference: StoredCell, competitor: StoredCell) -> str:
    """The same for a pair, with both numbers of evaluations where they differ."""
    both = f"{reference.method}: {tuning(reference)}; {competitor.method}: {tuning(competitor)}"
    if reference.evaluations is None or competitor.evaluations is None:
        return _AS_GIVEN if alike(reference, competitor) else f"{_AGAINST} ({both})"
    if not alike(reference, competitor):
        return f"{_BY_OTHERS} ({both})"
    return _tuned([reference.evaluations, competitor.evaluations], reference.tuned_by)


def tuning_of_all(cells: Iterable[StoredCell]) -> str:
    """The same for several cells of one method."""
    return "; ".join(dict.fromkeys(tuning(cell) for cell in cells))


def tuning_of_row(cells: Iterable[StoredCell | None]) -> str:
    """The same for the cells of a row, with their methods where they differ: `closed: as given; admm: tuned, …`."""
    methods: dict[str, list[StoredCell]] = {}
    for cell in cells:
        if cell is not None:
            methods.setdefault(tuning(cell), []).append(cell)
    if len(methods) < 2:
        return "".join(methods)
    return "; ".join(
        f"{', '.join(dict.fromkeys(cell.method for cell in group))}: {words}" for words, group in methods.items()
    )


def warning(cells: Iterable[StoredCell]) -> str:
    """A sentence on the ranks at which cells that are compared were not tuned alike; empty if there are none."""
    ranks: dict[str, list[StoredCell]] = {}
    for cell in sorted((cell for cell in cells if cell.look.role == "compared"), key=lambda cell: cell.order[2]):
        ranks.setdefault(cell.rank_text, []).append(cell)
    unlike = {rank: group for rank, group in ranks.items() if not all(alike(group[0], cell) for cell in group)}
    if not unlike:
        return ""
    untuned = any(cell.evaluations is None for group in unlike.values() for cell in group)
    return (
        f"Warning: {_AGAINST if untuned else _BY_OTHERS}. At rank {', '.join(unlike)}, the cells were not tuned alike "
        f"({_methods(unlike)}): they may differ by that alone. Tune all of them in the same way, with tune=optuna."
    )


def marked(label: str, cells: Sequence[StoredCell], mixed: bool) -> str:
    """The label of a line of cells. Where a picture has tuned and untuned cells (`mixed`), it tells which these are."""
    if not mixed:
        return label
    number = sum(cell.evaluations is not None for cell in cells)
    words = {0: _AS_GIVEN, len(cells): "tuned"}.get(number, "partly tuned")
    return f"{label} ({words})"


def _methods(ranks: Mapping[str, Sequence[StoredCell]]) -> str:
    """Which methods are tuned, by what, and which are as given."""
    ways: dict[str, dict[str, None]] = {}
    for cell in (cell for group in ranks.values() for cell in group):
        way = _AS_GIVEN if cell.evaluations is None else f"tuned{_by(cell.tuned_by)}"
        ways.setdefault(way, {})[cell.method] = None
    return "; ".join(f"{way}: {', '.join(methods)}" for way, methods in ways.items())


def _tuned(evaluations: Sequence[int], metric: str) -> str:
    numbers = " and ".join(str(number) for number in dict.fromkeys(evaluations))
    return f"tuned{_by(metric)}, {numbers} evaluation{'' if numbers == '1' else 's'}"


def _by(metric: str) -> str:
    if metric == METRICS[0]:
        return ""
    # A version that measured more may have tuned it.
    return f" by {Metric.parse(metric).label if is_metric(metric) else metric}"
