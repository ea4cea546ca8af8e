"""Time of the main job, end to end and by stage: cold (no cache, no database), warm, and finished already.

    python tests/benchmarks/main_job.py [--repeats 3] [key=value ...]

Wall time is that of the whole process, from its start until it has ended. "wall − fit" is what the application adds to
the fit: the factorisation and the step of the rank. "requests" are the calls of MLflow's client once the store is open,
in three groups. T is the time of one n×n×n product in float32, measured between the runs; ratios to T compare across
machines. Targets on two cores: warm at most fit + 2 s, cold 2.5 s more.
"""

import argparse
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

COMMAND = ["method=closed", "rank=500"]
FIT = ("factorise", "fit")
GROUPS = {"search": "look-ups", "get": "look-ups", "log": "logging", "create": "run and tags", "set": "run and tags"}


class Stages:
    """Seconds by stage in the process of a job, which runs with `--stages START FILE`."""

    def __init__(self, start: float, path: Path) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._path, self._last, self._depth = path, start, 0

    def mark(self, name: str) -> None:
        """End the stage `name`, which began where the last one ended."""
        now = time.time()
        self.seconds[name] += now - self._last
        self._last = now

    def run(self) -> None:
        """The command, as `python -m edlae_sweeps` runs it."""
        # What `start` does, with a clock between the steps.
        from edlae_sweeps.imports import quick_imports

        self.mark("Python")
        with quick_imports():
            import edlae_sweeps.cli.run as command
        self.mark("imports: Hydra, NumPy, SciPy")
        command.quick_imports = self._job_imports
        factory = logging.getLogRecordFactory()

        def record(*args: object, **kwargs: object) -> logging.LogRecord:
            made = factory(*args, **kwargs)
            if made.name == "edlae_sweeps.console" and len(made.args or ()) == 2:
                label, seconds = made.args
                self.seconds[str(label).strip()] += seconds
            return made

        logging.setLogRecordFactory(record)
        try:
            command.main()
        finally:
            self.mark("job")
            self._path.write_text(json.dumps(self.seconds))

    @contextmanager
    def _job_imports(self) -> Iterator[None]:
        from edlae_sweeps.imports import quick_imports

        self.mark("composition")
        with quick_imports():
            yield
        self.mark("imports: MLflow")
        from mlflow import MlflowClient

        from edlae_sweeps.tracking import Store

        Store.__init__ = self._timed("store opening", Store.__init__)
        for name, method in list(vars(MlflowClient).items()):
            group = GROUPS.get(name.partition("_")[0])
            if group and callable(method):
                setattr(MlflowClient, name, self._timed(f"requests: {group}", method))

    def _timed(self, name: str, function):
        def timed(*args: object, **kwargs: object) -> object:
            self._depth += 1
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self._depth -= 1
                if not self._depth:
                    self.seconds[name] += time.perf_counter() - start

        return timed


def gemm_seconds(n: int) -> float:
    """One n×n×n product in float32, after a small one to wake the threads."""
    import numpy as np

    a = np.random.default_rng(0).random((n, n), dtype=np.float32)
    a[:500, :500] @ a[:500, :500]
    start = time.perf_counter()
    a @ a
    return time.perf_counter() - start


def run(folder: Path, overrides: list[str]) -> dict[str, float]:
    """The wall time of one job in `folder`, and its stages."""
    environment = {**os.environ, "EDLAE_SWEEPS_DATA": str(folder / "data")}
    path, start = folder / "stages.json", time.time()
    arguments = [__file__, "--stages", str(start), str(path), *COMMAND, *overrides]
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True, cwd=folder, env=environment)
    wall = time.time() - start
    stages = json.loads(path.read_text())
    known = [name for name in stages if name != "job"]
    fit = sum(stages[name] for name in known if name.startswith(FIT))
    # Between the stages, and after the last one.
    rest = {"end of the process": wall - sum(stages[name] for name in stages if name in MARKS), "wall": wall}
    return {**{name: stages[name] for name in known}, **rest, "fit": fit, "wall − fit": wall - fit}


MARKS = ("Python", "imports: Hydra, NumPy, SciPy", "composition", "imports: MLflow", "job")


def show(figures: dict[str, list[dict[str, float]]], unit: float) -> None:
    """Print a table of medians, and the same as JSON."""
    from rich.console import Console
    from rich.table import Table

    stages = dict.fromkeys(stage for runs in figures.values() for seconds in runs for stage in seconds)
    rows = {
        stage: {kind: statistics.median(run.get(stage, 0) for run in runs) for kind, runs in figures.items()}
        for stage in stages
    }
    table = Table("stage", *(f"{kind} s" for kind in figures), "warm / T", title=f"main job, T = {unit:.2f} s")
    for stage, values in rows.items():
        table.add_row(stage, *(f"{seconds:.2f}" for seconds in values.values()), f"{values['warm'] / unit:.2f}")
    Console().print(table)
    print(json.dumps({"gemm_seconds": unit, **rows}))


def main() -> None:
    if sys.argv[1:2] == ["--stages"]:
        start, path = float(sys.argv[2]), Path(sys.argv[3])
        sys.argv[1:] = sys.argv[4:]
        Stages(start, path).run()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="runs of each kind, of which the median is shown")
    arguments, overrides = parser.parse_known_args()
    kinds = {"cold": [], "warm": [], "finished": ["skip_finished=true"]}
    figures: dict[str, list[dict[str, float]]] = {kind: [] for kind in kinds}
    products = []
    for _ in range(arguments.repeats):
        with tempfile.TemporaryDirectory() as name:
            for kind, more in kinds.items():
                figures[kind].append(run(Path(name), [*overrides, *more]))
            products.append(gemm_seconds(5418))
    show(figures, statistics.median(products))


if __name__ == "__main__":
    main()
