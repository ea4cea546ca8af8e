"""The learned diagonal of UVᵀ (Section 3.4 of the paper), which no ranking metric shows."""

from edlae_sweeps.methods import PUBLISHED_RIVAL
from edlae_sweeps.plots import DiagonalPair
from edlae_sweeps.reporting.collect import Collected, StoredCell
from edlae_sweeps.reporting.looks import label
from edlae_sweeps.reporting.reader import Reader
from edlae_sweeps.reporting.tables import Table
from edlae_sweeps.reporting.texts import fixed
from edlae_sweeps.reporting.tuned import tuning_of_row

_QUANTILES = ("q05", "median", "q95")


def diagonal_pairs(collected: Collected, reader: Reader) -> dict[int, DiagonalPair]:
    """The diagonals of the reference and of its published rival, by rank, where both were logged."""
    pairs = {}
    for rank in collected.ranks:
        reference, rival = collected.at(collected.reference, rank), collected.at(PUBLISHED_RIVAL, rank)
        if rank is None or reference is None or rival is None:
            continue
        if _has_diagonal(reference) and _has_diagonal(rival):
            arrays = [reader.arrays(cell, "diagonal.npz", ("diagonal",)) for cell in (reference, rival)]
            diagonals = [found["diagonal"] for found in arrays if found]
            if len(diagonals) == 2 and len(diagonals[0]) == len(diagonals[1]):
                pairs[rank] = DiagonalPair(rank, *diagonals)
    return pairs


def diagonal_table(collected: Collected, pairs: dict[int, DiagonalPair]) -> Table:
    """Quantiles over items of diag(UVᵀ) by rank, and the correlation of the two methods' diagonals."""
    methods = (collected.reference, PUBLISHED_RIVAL)
    rows = []
    for rank in collected.ranks:
        texts = [_quantiles(collected.at(method, rank)) for method in methods]
        correlation = pairs[rank].correlation if rank is not None and rank in pairs else None
        if any(texts):
            tuned = tuning_of_row(collected.at(method, rank) for method in methods)
            rows.append(
                (
                    "full" if rank is None else str(rank),
                    *texts,
                    "" if correlation is None else f"{correlation:.2f}",
                    tuned,
                )
            )
    quantiles = [f"{label(method)}: 5 % / median / 95 %" for method in methods]
    return Table(
        "diag(UVᵀ) over items",
        ("rank", *quantiles, "correlation over items", "parameters"),
        tuple(rows),
        caption="Quantiles of the learned diagonal at each rank, and how alike the two are.",
    )


def _quantiles(cell: StoredCell | None) -> str:
    if cell is None or not _has_diagonal(cell):
        return ""
    return " / ".join(fixed(cell.metrics[f"diagonal/{name}"], 3) for name in _QUANTILES)


def _has_diagonal(cell: StoredCell) -> bool:
    return cell.holds((f"diagonal/{name}" for name in _QUANTILES), ())
