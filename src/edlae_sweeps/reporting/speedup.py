"""Table 1: how long a stand-alone fit takes, from cells that were repeated for it."""

import itertools
from collections import Counter
from dataclasses import dataclass
from statistics import median

from edlae_sweeps.reporting.collect import Collected, Entry
from edlae_sweeps.reporting.tables import Table

_MACHINE = ("cpu", "blas", "blas_threads")
_METHODS = ("closed", "admm", "admm_published")
# Steck & Garcia (2021), Table 1: seconds on 16 vCPU at n = 20,108, ADMM of 10 epochs.
PAPER = {10: (519, 171), 500: (557, 191), 1000: (597, 220), 2000: (701, 393), 5000: (1040, 1496)}


@dataclass(frozen=True)
class Timing:
    """Median and spread of a fit in seconds over repeats."""

    seconds: tuple[float, ...]

    def __str__(self) -> str:
        low, high = min(self.seconds), max(self.seconds)
        return f"{median(self.seconds):.1f} ({low:.1f}–{high:.1f})"


def timings(collected: Collected) -> tuple[dict[tuple[str, int], Timing], str, list[str]]:
    """Timings by method and rank, the machine in words, and what was refused: shared fits, and other machines."""
    refused = []
    alone = [entry for entry in collected.timed if entry.run.tags.get("shared") == "false" and entry.rank is not None]
    if len(alone) < len(collected.timed):
        refused.append(
            f"{len(collected.timed) - len(alone)} timed cell(s) shared their factorisation or are of full rank"
        )
    machines = [tuple(entry.run.tags.get(name, "?") for name in _MACHINE) for entry in alone]
    chosen = max(set(machines), key=lambda machine: (machines.count(machine), machine), default=None)
    same = [entry for entry, machine in zip(alone, machines, strict=True) if machine == chosen]
    if len(same) < len(alone):
        refused.append(f"{len(alone) - len(same)} timed cell(s) ran on another machine or with other threads")
    diverged = [entry for entry in same if entry.run.tags.get("ended") == "diverged"]
    if diverged:
        refused.append(f"{len(diverged)} timed cell(s) diverged before their last epoch")
    found = {}
    whole = [entry for entry in same if entry not in diverged]
    for (method, rank), group in itertools.groupby(sorted(whole, key=_order), key=lambda one: (one.method, one.rank)):
        assert rank is not None  # noqa: S101 - filtered above
        cells = list(group)
        params = Counter(_params(entry) for entry in cells).most_common(1)[0][0]
        alike = [entry for entry in cells if _params(entry) == params]
        if len(alike) < len(cells):
            refused.append(f"{len(cells) - len(alike)} timed cell(s) of {method} at rank {rank} have other parameters")
        found[method, rank] = Timing(tuple(entry.metrics["time/fit_seconds"] for entry in alike))
    words = ""
    if chosen:
        words = f"{chosen[0]}, {chosen[1]}, {chosen[2]} thread(s), {same[0].run.params['dtype']}"
    return found, words, refused


def speedup_table(found: dict[tuple[str, int], Timing]) -> Table:
    """A row for each rank: the median fits, and how many times longer ADMM takes; the paper's own row beside it."""
    rows = []
    for rank in sorted({rank for _, rank in found}):
        times = [found.get((method, rank)) for method in _METHODS]
        base = times[0]
        ratios = [f"{median(time.seconds) / median(base.seconds):.2f}" if time and base else "" for time in times[1:]]
        paper = f"{PAPER[rank][0]} / {PAPER[rank][1]} = {PAPER[rank][0] / PAPER[rank][1]:.2f}" if rank in PAPER else ""
        rows.append((str(rank), *(str(time) if time else "" for time in times), *ratios, paper))
    header = ("rank", "closed s", "ADMM s", "ADMM as published s", "ADMM / closed", "published / closed",
              "paper: ADMM / closed s")  # fmt: skip
    return Table("Stand-alone fit: median (least–most) seconds over repeats", header, tuple(rows))


def _order(entry: Entry) -> tuple[str, int]:
    return entry.method, entry.rank or 0


def _params(entry: Entry) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(entry.run.params.items()))
