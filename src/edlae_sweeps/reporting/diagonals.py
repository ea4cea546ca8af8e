"""What the methods learn as the diagonal of UVᵀ, which no metric sees (Section 3.4)."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edlae_sweeps.reporting.collect import Collected
from edlae_sweeps.reporting.pairs import load_arrays
from edlae_sweeps.reporting.tables import Table
from edlae_sweeps.tracking import Experiment

_QUANTILES = ("q05", "median", "q95")


def diagonals_of(
    collected: Collected, experiment: Experiment, folder: Path
) -> dict[int, tuple[NDArray[Any], NDArray[Any]]]:
    """Rank → diag(UVᵀ) (n,) of the closed form and of ADMM, where both have it."""
    found = {}
    for rank in collected.ranks:
        cells = [collected.at(method, rank) for method in ("closed", "admm")]
        if rank is not None and all(cell is not None and "diagonal/median" in cell.metrics for cell in cells):
            values = [load_arrays(experiment, cell, "diagonal.npz", folder)["diagonal"] for cell in cells if cell]
            found[rank] = (values[0], values[1])
    return found


def diagonal_table(collected: Collected, experiment: Experiment, folder: Path) -> Table:
    """Quantiles of diag(UVᵀ) over items by rank, and the correlation of the closed form's with ADMM's."""
    both = diagonals_of(collected, experiment, folder)
    rows = []
    for rank in collected.ranks:
        cells = [collected.at(method, rank) for method in ("closed", "admm")]
        shown = [
            " / ".join(f"{cell.metrics[f'diagonal/{name}']:.3f}" for name in _QUANTILES)
            if cell is not None and "diagonal/median" in cell.metrics
            else ""
            for cell in cells
        ]
        if any(shown):
            correlation = (
                f"{np.corrcoef(*both[rank])[0, 1]:.2f}" if rank in both and np.ptp(both[rank], 1).all() else ""
            )
            rows.append((str(rank), *shown, correlation))
    header = ("rank", "closed: 5 % / median / 95 %", "ADMM: 5 % / median / 95 %", "correlation over items")
    return Table("diag(UVᵀ) over items", header, tuple(rows))
