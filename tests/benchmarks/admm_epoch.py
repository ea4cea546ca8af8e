"""One epoch of lean ADMM, and of ADMM as published, against one n×n×n product in the same process.

    python tests/benchmarks/admm_epoch.py [--n 5000] [--ranks 10 100 500 1000] [--epochs 5] [--dtype float32]

A lean epoch takes three products of n×n by n×k: 6n²k flops of the product's 2n³, so 3k/n of its time T if flops alone
count. The basis and the objective add O(nk²). A published epoch takes five such products, and n³ for one diagonal:
(1 + 5k/n) T.
"""

import argparse
import json
import time
from itertools import islice, pairwise

import numpy as np
from rich.console import Console
from rich.table import Table

from edlae_sweeps.datasets import TrainingData
from edlae_sweeps.methods import Admm, AdmmPublished, State


def gemm_seconds(n: int, dtype: str) -> float:
    """The best of three n×n×n products."""
    a = np.random.default_rng(0).random((n, n), dtype=dtype)
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        a @ a
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def epoch_seconds(method: Admm | AdmmPublished, state: State, rank: int, epochs: int) -> float:
    """The median epoch without the first, which includes the random start."""
    times = [time.perf_counter() for _ in islice(method.iterates(state, rank), epochs + 1)]
    return float(np.median([after - before for before, after in pairwise(times)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=5000)
    parser.add_argument("--ranks", type=int, nargs="+", default=[10, 100, 500, 1000])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--dtype", default="float32", choices=["float32", "float64"])
    arguments = parser.parse_args()
    n = arguments.n
    X = (np.random.default_rng(0).random((2 * n, n), dtype=np.float32) < 0.01).astype(arguments.dtype)
    data = TrainingData(X, arguments.dtype, gram=lambda: X.T @ X)
    unit = gemm_seconds(n, arguments.dtype)
    rows = []
    for kind in (Admm, AdmmPublished):
        method = kind(l2=10, dropout=0.1, omega=1e4)
        state = method.prepare(data, max(arguments.ranks))
        products, whole = (3, 0) if kind is Admm else (5, 1)
        for rank in arguments.ranks:
            seconds = epoch_seconds(method, state, rank, arguments.epochs)
            row = {"method": method.name, "n": n, "k": rank, "seconds": seconds, "ratio": seconds / unit}
            rows.append({**row, "by_flops": whole + products * rank / n})
    table = Table("method", "k", "epoch s", "epoch / T", "products alone / T", title=f"T = {unit:.2f} s at n = {n}")
    for row in rows:
        values = (f"{row['seconds']:.3f}", f"{row['ratio']:.3f}", f"{row['by_flops']:.3f}")
        table.add_row(row["method"], str(row["k"]), *values)
    Console().print(table)
    print(json.dumps({"gemm_seconds": unit, "dtype": arguments.dtype, "rows": rows}))


if __name__ == "__main__":
    main()
