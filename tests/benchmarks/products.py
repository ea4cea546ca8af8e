"""The closed form from products with X: how its time and memory grow with n, and beside a dense Gram matrix.

    python tests/benchmarks/products.py scaling [--rank 200] [--sizes 10000 100000 1000000] [--picture FILE]
    python tests/benchmarks/products.py both [--rank 500] dataset=ml-20m-like [method.l2=...]

scaling: dataset=million with other numbers of items and half as many users, the same events per user. `both` fits one
data set in both ways and pairs nDCG@100 over the test users. Each fit runs in a process of its own, so that the peak
is its own; T is one n×n×n product there, measured for the dense way alone. Run it on a quiet machine.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import Bench, load_data, parse, parser, resources
from rich.console import Console
from rich.table import Table

from edlae_sweeps import resources as machine
from edlae_sweeps.datasets import TrainingData, load_gram
from edlae_sweeps.evaluation import evaluate
from edlae_sweeps.settings import Settings

# What a dense fit holds, in n×n arrays, and its time at rank 500 or below in products of n×n×n (README, n = 20,108), of
# which two cores make so many multiplications a second.
_DENSE_ARRAYS, _DENSE_PRODUCTS, _RATE = 2.33, 0.95, 1.5e11
_PARTS = ("deflation", "diagonal", "eigenpairs", "encoder")


def fit(chosen: Settings, rank: int) -> dict[str, Any]:
    """One fit in this process: seconds, peak memory, and nDCG@100 of each test user."""
    data, room = load_data(chosen), resources(chosen)
    training = TrainingData(data.train, chosen.dtype, by_products=chosen.gram == "products")
    measures: dict[str, Any] = {"n": training.n_items, "events": training.events, "gram": chosen.gram, "k": rank}
    if chosen.gram == "dense":
        folder = Path(chosen.data_dir).expanduser()
        training = TrainingData(data.train, chosen.dtype, gram=lambda: load_gram(data, chosen.dtype, folder))
        start = time.perf_counter()
        gram = training.gram
        measures |= {"gram_seconds": time.perf_counter() - start, "T": Bench.on("", gram).unit}
    start = time.perf_counter()
    state = chosen.method.prepare(training, rank, room)
    model = chosen.method.fit(state, rank)
    measures |= {"seconds": time.perf_counter() - start, "peak_gib": machine.peak_memory() / machine.GIB}
    record = model.record.metrics() if model.record else {}
    ndcg = evaluate(model, data.test, resources=room).values["ndcg_100"]
    return measures | {"record": record, "ndcg": ndcg.tolist(), "objective": state.training_metrics(model)["objective"]}


def measured(rank: int, overrides: list[str]) -> dict[str, Any]:
    """`fit` in a process of its own."""
    command = [sys.executable, __file__, "fit", "--rank", str(rank), *overrides]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print({name: value for name, value in result.items() if name != "ndcg"}, flush=True)
    return result


def scaling(rank: int, sizes: list[int], overrides: list[str], picture: Path | None) -> None:
    """A table of n, and a picture."""
    rows = []
    for n in sizes:
        size = [f"dataset.n_items={n}", f"dataset.n_users={n // 2}", f"dataset.heldout_users={max(100, n // 100)}"]
        name = [f"dataset.name=million-{n}"] if n != 1_000_000 else []
        rows.append(measured(rank, ["dataset=million", "gram=products", *size, *name, *overrides]))
    heads = (
        "n",
        "events",
        "fit s",
        *_PARTS,
        "GFLOP/s",
        "columns",
        "iterations",
        "peak GiB",
        "n² GiB",
        "n³ T at 150 GF/s",
    )
    table = Table(*heads, title=f"closed, rank {rank}, {machine.cpu_model()}, {machine.blas_threads()} threads")
    for row in rows:
        record, n = row["record"], row["n"]
        parts = (f"{record[f'time/{part}_seconds']:,.0f}" for part in _PARTS)
        table.add_row(
            f"{n:,}", f"{row['events']:,}", f"{row['seconds']:,.0f}", *parts, f"{record['cg/gflops']:.1f}",
            f"{record['cg/columns']:,.0f}", f"{record['cg/iterations']:.1f}", f"{row['peak_gib']:.1f}",
            f"{_DENSE_ARRAYS * 4 * n**2 / machine.GIB:,.1f}", f"{_DENSE_PRODUCTS * n**3 / _RATE:,.0f}",
        )  # fmt: skip
    Console(width=150).print(table)
    if picture is not None:
        draw(rows, rank, picture)


def draw(rows: list[dict[str, Any]], rank: int, path: Path) -> None:
    """Time and memory by n, beside what a dense fit takes."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    n = np.array([row["n"] for row in rows], dtype=float)
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), constrained_layout=True)
    panels = (
        ("fit, seconds", [row["seconds"] for row in rows], _DENSE_PRODUCTS * n**3 / _RATE, 3600, "an hour"),
        ("peak memory, GiB", [row["peak_gib"] for row in rows], _DENSE_ARRAYS * 4 * n**2 / machine.GIB, 24, "24 GiB"),
    )
    for axis, (label, values, dense, level, name) in zip(axes, panels, strict=True):
        axis.loglog(n, values, "o-", color="C0", label=f"products with X, rank {rank}")
        axis.loglog(n, dense, "--", color="0.4", label="dense Gram matrix, extrapolated")
        axis.axhline(level, color="0.8", linewidth=1, zorder=0)
        axis.annotate(name, (n[0], level), xytext=(0, 3), textcoords="offset points", color="0.5", fontsize=8)
        axis.set(xlabel="items n", ylabel=label)
        axis.grid(visible=True, which="major", color="0.93")
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].legend(frameon=False, fontsize=9)
    figure.savefig(path, dpi=130)
    print(f"picture: {path}")


def both(rank: int, overrides: list[str]) -> None:
    """One data set in both ways, and the paired difference of nDCG@100."""
    rows = [measured(rank, [*overrides, f"gram={way}"]) for way in ("dense", "products")]
    table = Table(
        "", "fit s", "Gram s", "T", "peak GiB", "nDCG@100", "Eq. 7", title=f"rank {rank}, n = {rows[0]['n']:,}"
    )
    for row in rows:
        shown = (f"{row[name]:,.1f}" if name in row else "" for name in ("seconds", "gram_seconds", "T", "peak_gib"))
        table.add_row(row["gram"], *shown, f"{np.mean(row['ndcg']):.5f}", f"{row['objective']:.6g}")
    Console(width=120).print(table)
    difference = np.subtract(rows[1]["ndcg"], rows[0]["ndcg"])
    error = difference.std() / np.sqrt(len(difference))
    print(f"products - dense: nDCG@100 {difference.mean():+.5f} ± {error:.5f}")


def main() -> None:
    options = parser(__doc__, [])
    options.add_argument("what", choices=("scaling", "both", "fit"))
    options.add_argument("--rank", type=int, default=200)
    options.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    options.add_argument("--picture", type=Path)
    given, overrides = options.parse_known_args()
    if given.what == "scaling":
        scaling(given.rank, given.sizes, overrides, given.picture)
    elif given.what == "both":
        both(given.rank, overrides)
    else:
        alone = argparse.ArgumentParser()
        alone.add_argument("what")
        alone.add_argument("--rank", type=int)
        print(json.dumps(fit(parse(alone)[1], given.rank)), flush=True)


if __name__ == "__main__":
    main()
