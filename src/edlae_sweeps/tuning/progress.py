"""How a search stands: beside its bar, while it runs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edlae_sweeps.console import Stage
from edlae_sweeps.tuning.records import best_for
from edlae_sweeps.tuning.rounds import Asked

if TYPE_CHECKING:
    from edlae_sweeps.tuning.search import Search


def show_progress(stage: Stage, search: "Search", waiting: Sequence[Asked], at_once: int) -> None:
    """Show the number of the trial, the best value so far of the rank that asked for it, and the time left.

    `waiting` are the points of a round that have no evaluation yet; `at_once` of them are evaluated at the same time.
    """
    done, seconds = len(search.seen), [evaluation.seconds for evaluation in search.seen]
    left = sum(seconds) / done * (search.total - done) / at_once if done else None
    stage(done, search.total, _note(search, waiting[:at_once]) if waiting else "", left)


def _note(search: "Search", running: Sequence[Asked]) -> str:
    """`trial 7/20, best 0.6451`; with the rank if the search has several."""
    first, last, rank = len(search.seen) + 1, len(search.seen) + len(running), running[0].rank
    note = f"trial {first}/{search.total}" if first == last else f"trials {first}-{last}/{search.total}"
    if len(search.ranks) > 1:
        note += f", rank {rank}"
    best = best_for(search.seen, rank, search.tune.metric)
    return note if best is None else f"{note}, best {best.ranks[rank][search.tune.metric]:z.4f}"
