"""An iterative method by epoch, beside the final values of the reference."""

from edlae_sweeps.plots import Epochs
from edlae_sweeps.reporting.collect import Collected, StoredCell
from edlae_sweeps.reporting.reader import Reader

# More lines would hide each other.
_MOST_RANKS = 6


def epochs_by_rank(method: str, collected: Collected, reader: Reader) -> dict[int, Epochs]:
    """The epochs of a method at up to six ranks."""
    cells = {
        cell.rank: cell
        for cell in collected.of(method)
        # A run of another program may say that it is a cell of this method.
        if cell.rank is not None and cell.holds(("time/elapsed_seconds",), ("l2", "dropout"))
    }
    ranks = list(cells)[:: max(1, -(-len(cells) // _MOST_RANKS))]
    return {rank: _epochs(cells[rank], collected.at(collected.reference, rank), reader) for rank in ranks}


def _epochs(cell: StoredCell, reference: StoredCell | None, reader: Reader) -> Epochs:
    """The reference's objective is comparable at the same λ and p only, its validation nDCG@100 always."""
    objective = reader.history(cell, "train/objective")
    # Elapsed time has no final value after the last epoch, so `history` drops that epoch's.
    seconds = [*reader.history(cell, "time/elapsed_seconds"), cell.metrics["time/elapsed_seconds"]]
    same = (
        reference is not None
        and reference.holds(("train/objective",), ("l2", "dropout"))
        and _penalty(reference) == _penalty(cell)
    )
    return Epochs(
        seconds=seconds[: len(objective)],
        objective=objective,
        ndcg=reader.history(cell, "validation/ndcg_100"),
        reference_objective=reference.metrics["train/objective"] if reference and same else None,
        reference_ndcg=reference.metrics["validation/ndcg_100"] if reference else None,
    )


def _penalty(cell: StoredCell) -> tuple[float, float]:
    return float(cell.run.params["l2"]), float(cell.run.params["dropout"])
