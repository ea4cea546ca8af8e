"""The search for each rank's best parameters: records, sampler, loop."""

from edlae_sweeps.tuning.records import Evaluation, Point, best_for
from edlae_sweeps.tuning.sampler import at_border
from edlae_sweeps.tuning.search import Search

__all__ = ["Evaluation", "Point", "Search", "at_border", "best_for"]
