"""The full-rank model after users came: by an update, and by a new fit from the Gram matrix of all users.

    python tests/benchmarks/update.py [dataset=debian method.l2=10 method.dropout=0 threads=1 ...] [--users 1 10 100]

The last users of the training data come to the others. Each update is followed by a new fit; seconds are medians of
three, `ratio` is that of the three pairs. `difference` is the largest of B.
"""

import json
from functools import partial
from statistics import median

import numpy as np
from common import load_training, parse, parser, resources, timed
from rich.console import Console
from rich.table import Table

from edlae_sweeps.datasets import TrainingData
from edlae_sweeps.methods import Closed, update

REPEATS = 3


def main() -> None:
    options = parser(__doc__, [])
    options.add_argument("--users", type=int, nargs="+", default=[1, 10, 100, 1000])
    given, chosen = parse(options)
    data, limits = load_training(chosen), resources(chosen)
    method = Closed(l2=chosen.method.l2, dropout=chosen.method.dropout)
    fit = partial(method.fit, data, "full", resources=limits)
    expected = fit().B
    columns = ["users", "their items", "update s", "new fit s", "ratio", "difference"]
    title = f"n = {data.n_items:,}, {data.dtype}, p = {method.dropout:.2g}, threads: {limits.threads}"
    table = Table(*columns, title=title)
    for users in given.users:
        new = data.X[-users:]
        before = method.fit(TrainingData(data.X[:-users], data.dtype), "full", resources=limits)
        work = partial(update, before, new, dropout=method.dropout, resources=limits)
        difference = float(np.abs(work().B - expected).max())
        pairs = [(timed(work)[0], timed(fit)[0]) for _ in range(REPEATS)]
        medians = [median(seconds) for seconds in zip(*pairs, strict=True)]
        row = [users, len(np.unique(new.indices)), *medians, median(one / other for one, other in pairs), difference]
        table.add_row(*(f"{value:.2g}" if isinstance(value, float) else f"{value:,}" for value in row))
        print(json.dumps(dict(zip(columns, row, strict=True))), flush=True)
    Console().print(table)


if __name__ == "__main__":
    main()
