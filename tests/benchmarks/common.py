"""What the benchmarks share: composed settings, their data, T, and rows printed as a table and as JSON."""

import argparse
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from hydra import compose, initialize_config_dir
from rich.console import Console
from rich.table import Table

from edlae_sweeps import resources as machine
from edlae_sweeps.cli.compose import conf_dir, register, typed
from edlae_sweeps.cli.versions import VERSION_BASE
from edlae_sweeps.datasets import Prepared, TrainingData, load, load_gram
from edlae_sweeps.resources import Resources
from edlae_sweeps.settings import Settings

# Above this n, T is measured with an eighth of the columns, at the same rate, and multiplied by eight.
_WHOLE_PRODUCT = 8_000


def parser(doc: str | None, ranks: list[int]) -> argparse.ArgumentParser:
    """A parser for `parse`, with --ranks if there are default ranks."""
    options = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    if ranks:
        options.add_argument("--ranks", type=int, nargs="+", default=ranks)
    return options


def parse(options: argparse.ArgumentParser) -> tuple[argparse.Namespace, Settings]:
    """The options, and the settings that all other arguments give: dataset=NAME, dtype=float64, …"""
    given, overrides = options.parse_known_args()
    return given, settings(overrides)


def settings(overrides: list[str]) -> Settings:
    """The settings that the application would compose."""
    register()
    with initialize_config_dir(str(conf_dir()), **VERSION_BASE):
        return typed(compose("config", overrides), Settings)


def load_data(chosen: Settings) -> Prepared:
    """The prepared data, from the cache if they are there."""
    return load(chosen.dataset, Path(chosen.data_dir).expanduser())


def load_training(chosen: Settings) -> TrainingData:
    """The training data with their Gram matrix, from the cache if it is there."""
    data, folder = load_data(chosen), Path(chosen.data_dir).expanduser()
    training = TrainingData(data.train, chosen.dtype, gram=lambda: load_gram(data, chosen.dtype, folder))
    # Load it now, so that no fit pays for it.
    print(f"G: {training.gram.nbytes / machine.GIB:.2f} GiB", flush=True)
    return training


def resources(chosen: Settings) -> Resources:
    """The threads and memory of the settings."""
    memory = None if chosen.memory is None else int(chosen.memory * machine.GIB)
    return Resources.here(chosen.threads, memory)


@dataclass
class Bench:
    """Rows of seconds, and T, the time of one n×n×n product of the same type in this process."""

    title: str
    n: int
    dtype: str
    unit: float
    rows: list[dict[str, Any]]

    @classmethod
    def on(cls, title: str, a: np.ndarray) -> "Bench":
        """Measure T on `a` (n, n)."""
        n, share = len(a), 8 if len(a) > _WHOLE_PRODUCT else 1
        block = np.ascontiguousarray(a[:, : n // share])
        times = []
        for _ in range(2):
            start = time.perf_counter()
            a @ block
            times.append(time.perf_counter() - start)
        return cls(title, n, str(a.dtype), min(times) * n / block.shape[1], [])

    def add(self, what: str, k: int | None, seconds: float, flops: float | None = None, **more: Any) -> None:
        """Add a row and print it."""
        rate = {} if flops is None else {"gflops": flops / seconds / 1e9}
        row = {"what": what, "n": self.n, "k": k, "seconds": seconds, "ratio": seconds / self.unit, **rate, **more}
        self.rows.append(row)
        print(json.dumps(row), flush=True)

    def show(self) -> None:
        """Print all rows as a table, then as one line of JSON."""
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        blas, threads = machine.blas_name(), machine.blas_threads()
        rate = 2 * self.n**3 / self.unit / 1e9
        facts = f"n = {self.n:,}, {self.dtype}, T = {self.unit:.2f} s ({rate:.0f} GFLOP/s, {threads} threads, {blas})"
        table = Table(*(name if name != "ratio" else "seconds / T" for name in names), title=f"{self.title}: {facts}")
        for row in self.rows:
            table.add_row(*(_shown(row.get(name)) for name in names))
        Console(width=140).print(table)
        where = {"cpu": machine.cpu_model(), "blas": blas, "threads": threads}
        what = {"title": self.title, "n": self.n, "dtype": self.dtype, "gemm_seconds": self.unit}
        print(json.dumps({**what, **where, "rows": self.rows}))


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


@contextmanager
def watched(mapped: bool = True) -> Iterator[list[float]]:
    """Append the peak resident size of this process within the block, in bytes, sampled every 50 ms.

    Pages of mapped files do not count unless `mapped`: the system takes them back when it needs memory (Linux only).
    """
    process, stop, peak = psutil.Process(), threading.Event(), [0.0]
    result: list[float] = []

    def size() -> float:
        memory = process.memory_info()
        return float(memory.rss if mapped else memory.rss - memory.shared)

    def sample() -> None:
        while not stop.wait(0.05):
            peak[0] = max(peak[0], size())

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield result
    finally:
        stop.set()
        thread.join()
        result.append(max(peak[0], size()))


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of `work`, and its result."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result
