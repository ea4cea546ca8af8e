"""What the benchmarks share: a composed configuration, its data, T, and rows that are printed as a table and json."""

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

from edlae_sweeps import machine
from edlae_sweeps.cli.config import conf_dir, register, typed
from edlae_sweeps.datasets import Prepared, load, load_gram
from edlae_sweeps.settings import Settings

# Above this, T is that of a product with an eighth of the columns, times eight: the rate is the same there.
_WHOLE_PRODUCT = 8_000


def parser(doc: str | None, ranks: list[int]) -> argparse.ArgumentParser:
    """A parser that takes ranks, where there are any; to be used by `parse`."""
    found = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    if ranks:
        found.add_argument("--ranks", type=int, nargs="+", default=ranks)
    return found


def parse(options: argparse.ArgumentParser) -> tuple[argparse.Namespace, Settings]:
    """The options, and the configuration of what else is given: dataset=NAME, dtype=float64, …"""
    given, overrides = options.parse_known_args()
    return given, settings(overrides)


def settings(overrides: list[str]) -> Settings:
    """The configuration that the application would compose."""
    register()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return typed(compose("config", overrides), Settings)


def load_all(chosen: Settings) -> tuple[Prepared, np.ndarray]:
    """Data and Gram matrix, from the cache where they are."""
    folder = Path(chosen.data_dir).expanduser()
    data = load(chosen.dataset, folder)
    return data, load_gram(data, chosen.dtype.value, folder)


@dataclass
class Bench:
    """Rows of seconds beside T, the time of one n×n×n product of the same type in this process."""

    title: str
    n: int
    dtype: str
    unit: float
    rows: list[dict[str, Any]]

    @classmethod
    def on(cls, title: str, a: np.ndarray) -> "Bench":
        """T is measured on `a` (n, n)."""
        n, share = len(a), 8 if len(a) > _WHOLE_PRODUCT else 1
        block = np.ascontiguousarray(a[:, : n // share])
        times = []
        for _ in range(2):
            start = time.perf_counter()
            a @ block
            times.append(time.perf_counter() - start)
        return cls(title, n, str(a.dtype), min(times) * n / block.shape[1], [])

    def add(self, what: str, k: int | None, seconds: float, flops: float | None = None, **more: Any) -> None:
        """Keep a row, and show it."""
        rate = {} if flops is None else {"gflops": flops / seconds / 1e9}
        row = {"what": what, "n": self.n, "k": k, "seconds": seconds, "ratio": seconds / self.unit, **rate, **more}
        self.rows.append(row)
        print(json.dumps(row), flush=True)

    def show(self) -> None:
        """All rows as a table, then as one line of json."""
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        blas, threads = machine.blas_name_and_threads()
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
def watched() -> Iterator[list[float]]:
    """Appends the largest resident size of this process meanwhile, in bytes, looked at every twentieth of a second."""
    process, stop, peak = psutil.Process(), threading.Event(), [0.0]
    found: list[float] = []

    def look() -> None:
        while not stop.wait(0.05):
            peak[0] = max(peak[0], process.memory_info().rss)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield found
    finally:
        stop.set()
        thread.join()
        found.append(max(peak[0], process.memory_info().rss))


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and the result."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result
