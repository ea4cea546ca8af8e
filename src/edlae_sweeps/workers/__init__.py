"""The work of a job as tasks, and who does it: this process, processes beside it, or a Dask cluster.

Nothing here knows the store or the terminal: workers take settings and return values.
"""

from edlae_sweeps.workers.bench import Bench
from edlae_sweeps.workers.fits import Fit, FitTask, Show, fit_ranks, fits_of, warm_up
from edlae_sweeps.workers.measures import named
from edlae_sweeps.workers.opening import open_pool
from edlae_sweeps.workers.points import Outcome, PointTask, evaluate_point
from edlae_sweeps.workers.pool import Died, Here, Pool, Spread

__all__ = [
    "Bench",
    "Died",
    "Fit",
    "FitTask",
    "Here",
    "Outcome",
    "PointTask",
    "Pool",
    "Show",
    "Spread",
    "evaluate_point",
    "fit_ranks",
    "fits_of",
    "named",
    "open_pool",
    "warm_up",
]
