"""How the parameters of cells were chosen, in words: a tuned cell should not stand beside an untuned one unnoticed."""

from collections.abc import Iterable, Sequence

from edlae_sweeps.reporting.collect import StoredCell
from edlae_sweeps.settings import METRICS, Metric

_AS_GIVEN = "as given"


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
        return _AS_GIVEN if alike(reference, competitor) else f"tuned against untuned ({both})"
    if not alike(reference, competitor):
        return f"tuned by different metrics ({both})"
    return _tuned([reference.evaluations, competitor.evaluations], reference.tuned_by)


def tuning_of_all(cells: Iterable[StoredCell]) -> str:
    """The same for several cells of one method."""
    return "; ".join(dict.fromkeys(tuning(cell) for cell in cells))


def marked(label: str, cells: Sequence[StoredCell], mixed: bool) -> str:
    """The label of a line of cells. Where a picture has tuned and untuned cells (`mixed`), it tells which these are."""
    if not mixed:
        return label
    number = sum(cell.evaluations is not None for cell in cells)
    words = {0: _AS_GIVEN, len(cells): "tuned"}.get(number, "partly tuned")
    return f"{label} ({words})"


def _tuned(evaluations: Sequence[int], metric: str) -> str:
    by = "" if metric == METRICS[0] else f" by {Metric.parse(metric).label}"
    numbers = " and ".join(str(number) for number in dict.fromkeys(evaluations))
    return f"tuned{by}, {numbers} evaluation{'' if numbers == '1' else 's'}"
