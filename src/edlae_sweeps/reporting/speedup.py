"""Table 1: the time of a stand-alone fit, from cells repeated for timing."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from edlae_sweeps.methods import PUBLISHED_RIVAL, REFERENCE
from edlae_sweeps.reporting.collect import Collected, StoredCell
from edlae_sweeps.reporting.looks import label, place
from edlae_sweeps.reporting.tables import Table
from edlae_sweeps.reporting.texts import counted
from edlae_sweeps.reporting.tuned import tuning_of_row

_MACHINE = ("cpu", "blas", "blas_threads")
# Rank → seconds of ADMM (10 epochs) and of the closed form. Steck & Garcia (2021), Table 1: 16 vCPU, n = 20,108.
PAPER = {10: (519, 171), 500: (557, 191), 1000: (597, 220), 2000: (701, 393), 5000: (1040, 1496)}


@dataclass(frozen=True)
class Timing:
    """Seconds of a fit, one value per repeat; printed as median (min–max). `cell` is one of the repeats."""

    seconds: tuple[float, ...]
    cell: StoredCell

    @property
    def median(self) -> float:
        """The median over repeats."""
        return median(self.seconds)

    def __str__(self) -> str:
        return f"{self.median:.1f} ({min(self.seconds):.1f}–{max(self.seconds):.1f})"


@dataclass(frozen=True)
class SpeedUp:
    """Timings by (method, rank), the machine in words, and a line per excluded group of cells."""

    timings: dict[tuple[str, int], Timing]
    machine: str
    left_out: list[str]


def speed_up(collected: Collected) -> SpeedUp:
    """Timings of stand-alone low-rank fits that ran to the end on one machine with one set of parameters."""
    # Reason → number of timed cells excluded for it.
    excluded: dict[str, int] = {}
    alone = [cell for cell in collected.timed if _stands_alone(cell)]
    excluded["shared factorisation or full rank"] = len(collected.timed) - len(alone)
    machines = Counter(_machine(cell) for cell in alone)
    machine = max(machines, key=lambda machine: (machines[machine], machine), default=None)
    same = [cell for cell in alone if _machine(cell) == machine]
    excluded["another machine or number of threads"] = len(alone) - len(same)
    complete = [cell for cell in same if cell.run.tags.get("ended") != "diverged"]
    excluded["diverged before the last epoch"] = len(same) - len(complete)
    timings = {}
    for (method, rank), cells in _by_method_and_rank(complete).items():
        params = Counter(_params(cell) for cell in cells).most_common(1)[0][0]
        alike = [cell for cell in cells if _params(cell) == params]
        excluded[f"{method} at rank {rank} with other parameters"] = len(cells) - len(alike)
        timings[method, rank] = Timing(tuple(cell.metrics["time/fit_seconds"] for cell in alike), alike[0])
    left_out = [f"{counted(number, 'timed cell')}: {reason}" for reason, number in excluded.items() if number]
    return SpeedUp(timings, _words(same), left_out)


def speedup_table(timings: dict[tuple[str, int], Timing]) -> Table:
    """One row per rank: median fit times, each method's ratio to the reference, and the paper's Table 1."""
    methods = sorted({method for method, _ in timings}, key=lambda method: (method != REFERENCE, place(method)))
    competitors = [method for method in methods if method != REFERENCE]
    rows = []
    for rank in sorted({rank for _, rank in timings}):
        times = [str(timings.get((method, rank), "")) for method in methods]
        ratios = [_ratio(timings.get((method, rank)), timings.get((REFERENCE, rank))) for method in competitors]
        paper = f"{PAPER[rank][0]} / {PAPER[rank][1]} = {PAPER[rank][0] / PAPER[rank][1]:.2f}" if rank in PAPER else ""
        cells = [timings[method, rank].cell for method in methods if (method, rank) in timings]
        rows.append((str(rank), *times, *ratios, paper, tuning_of_row(cells)))
    reference = label(REFERENCE)
    header = (
        "rank",
        *(f"{label(method)} s" for method in methods),
        *(f"{label(method)} / {reference}" for method in competitors),
        f"paper: {label(PUBLISHED_RIVAL)} / {reference} s",
        "parameters",
    )
    caption = "At each rank, times on one machine, of fits that shared nothing, and their ratios."
    return Table("Stand-alone fit: median (min–max) seconds over repeats", header, tuple(rows), caption=caption)


def _ratio(time: Timing | None, reference: Timing | None) -> str:
    return f"{time.median / reference.median:.2f}" if time and reference else ""


def _words(cells: Sequence[StoredCell]) -> str:
    """The machine, threads and dtype of cells that agree in them."""
    if not cells:
        return ""
    cpu, blas, threads, device = _machine(cells[0])
    beside = f", {device}" if device else ""
    return f"{cpu}, {blas}, {counted(threads, 'thread')}{beside}, {cells[0].run.params['dtype']}"


def _by_method_and_rank(cells: Sequence[StoredCell]) -> dict[tuple[str, int], list[StoredCell]]:
    groups: dict[tuple[str, int], list[StoredCell]] = {}
    for cell in sorted(cells, key=lambda cell: cell.order):
        if cell.rank is not None:
            groups.setdefault((cell.method, cell.rank), []).append(cell)
    return groups


def _stands_alone(cell: StoredCell) -> bool:
    return cell.run.tags.get("shared") == "false" and cell.rank is not None


def _machine(cell: StoredCell) -> tuple[str, ...]:
    # Cells without the last tag were fitted on the CPU.
    return (*(cell.run.tags.get(name, "?") for name in _MACHINE), cell.run.tags.get("device", ""))


def _params(cell: StoredCell) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(cell.run.params.items()))
