"""How the parameters of cells were chosen, in words: a tuned cell should not stand beside an untuned one unnoticed."""

from collections.abc import Iterable, Sequence

from edlae_sweeps.reporting.collect import StoredCell

_AS_GIVEN = "as given"


def tuning(cell: StoredCell) -> str:
    """`tuned, 20 evaluations`, or `as given`."""
    return _AS_GIVEN if cell.evaluations is None else _tuned([cell.evaluations])


def alike(one: StoredCell, other: StoredCell) -> bool:
    """Whether both cells were tuned, or neither."""
    return (one.evaluations is None) == (other.evaluations is None)


def tuning_of_pair(reference: StoredCell, competitor: StoredCell) -> str:
    """The same for a pair, with both numbers of evaluations where they differ."""
    if reference.evaluations is not None and competitor.evaluations is not None:
        return _tuned([reference.evaluations, competitor.evaluations])
    if alike(reference, competitor):
        return _AS_GIVEN
    return f"tuned against untuned ({'; '.join(f'{cell.method}: {tuning(cell)}' for cell in (reference, competitor))})"


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


def _tuned(evaluations: Sequence[int]) -> str:
    numbers = " and ".join(str(number) for number in dict.fromkeys(evaluations))
    return f"tuned, {numbers} evaluation{'' if numbers == '1' else 's'}"
