"""How a search stands: beside its bar, while it runs."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from edlae_sweeps.console import Stage
from edlae_sweeps.tuning.records import best_for
from edlae_sweeps.tuning.rounds import Asked

if TYPE_CHECKING:
    from edlae_sweeps.tuning.search import Search


class Progress:
    """The bar of a search in this process: the trial, the best value of the rank that asked for it, the time left."""

    def __init__(self, stage: Stage, search: "Search", at_once: int) -> None:
        """`at_once` points are evaluated at the same time."""
        self.tell = stage.tell
        self._stage, self._search, self._at_once = stage, search, at_once
        self._began, self._before = time.monotonic(), len(search.seen)

    def show(self, waiting: Sequence[Asked]) -> None:
        """Show how far a round is; `waiting` are its points without an evaluation."""
        done, total = len(self._search.seen), self._search.total
        note = _note(self._search, waiting[: self._at_once]) if waiting else ""
        self._stage(done, total, note, self._pace() * (total - done) if done else None)

    def _pace(self) -> float:
        """The seconds of a trial: in this process, or else as the store has them."""
        seen = self._search.seen
        if here := len(seen) - self._before:
            # Of trials side by side, those that still run will end soon.
            begun = -(-here // self._at_once) * self._at_once
            return (time.monotonic() - self._began) / begun
        return sum(evaluation.seconds for evaluation in seen) / len(seen) / self._at_once


def _note(search: "Search", running: Sequence[Asked]) -> str:
    """`trial 7/20, best 0.6451`; with the rank if the search has several."""
    first, last, rank = len(search.seen) + 1, len(search.seen) + len(running), running[0].rank
    note = f"trial {first}/{search.total}" if first == last else f"trials {first}-{last}/{search.total}"
    if len(search.ranks) > 1:
        note += f", rank {rank}"
    best = best_for(search.seen, rank, search.tune.metric)
    return note if best is None else f"{note}, best {best.ranks[rank][search.tune.metric]:z.4f}"
