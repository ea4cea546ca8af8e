"""The whole fit by rank: the closed form against ADMM, lean and at its published cost, in one process.

    python tests/benchmarks/fit.py [--ranks 10 500 1000 2000 5000] [--published 10 500 1000] [dataset=ml-20m-like ...]

A fit of the closed form is timed alone, from G to U and V; its peak memory is in n×n arrays, G included. The time of
ADMM is that of the inverse, measured once, and of ten epochs: the first --epochs are run, and the last of them stands
for the rest, since all epochs of one rank take the same time. `ten ranks` fits ten ranks up to --ten from one state.
"""

import time

import numpy as np
from common import Bench, load_training, parse, parser, resources, timed, watched

from edlae_sweeps.methods import Admm, AdmmPublished, State
from edlae_sweeps.models import Model

EPOCHS = 10


def admm_seconds(method: Admm | AdmmPublished, state: State, rank: int, measured: int) -> float:
    """Ten epochs, of which `measured` are run."""
    iterates = method.iterates(state, rank)
    times = [timed(lambda: next(iterates))[0] for _ in range(measured)]
    return sum(times) + (EPOCHS - measured) * times[-1]


def main() -> None:
    options = parser(__doc__, [10, 500, 1000, 2000, 5000])
    options.add_argument("--lean", type=int, nargs="*", help="ranks of lean ADMM; by default those of --ranks")
    options.add_argument("--published", type=int, nargs="*", default=[10, 500, 1000])
    options.add_argument("--ten", type=int, default=1000)
    options.add_argument("--epochs", type=int, default=2)
    options.add_argument("--omega", type=float, default=500)
    given, chosen = parse(options)
    data, closed, limits = load_training(chosen), chosen.method, resources(chosen)
    bench, size = Bench.on("fit", data.gram), data.gram.nbytes

    def fit(ranks: list[int]) -> list[Model]:
        return list(closed.fit_ranks(data, ranks, resources=limits).values())

    for rank in given.ranks:
        with watched() as peak:
            seconds, (model,) = timed(lambda rank=rank: fit([rank]))
        bench.add("closed", rank, seconds, peak_arrays=peak[0] / size, gap=model.record.gap, steps=model.record.steps)
        del model
    if given.ten:
        ranks = [given.ten * (i + 1) // 10 for i in range(10)]
        bench.add("closed, ten ranks", given.ten, timed(lambda: fit(ranks))[0])
    lean = given.ranks if given.lean is None else given.lean
    for kind, ranks in ((Admm, lean), (AdmmPublished, given.published)):
        if not ranks:
            continue
        method = kind(l2=closed.l2, dropout=closed.dropout, omega=given.omega)
        start = time.perf_counter()
        state = method.prepare(data, max(ranks), limits)
        inverse = time.perf_counter() - start
        bench.add(f"{method.name}: inverse", None, inverse)
        for rank in ranks:
            with np.errstate(all="ignore"):
                seconds = inverse + admm_seconds(method, state, rank, given.epochs if kind is Admm else 1)
            alone = next((row["seconds"] for row in bench.rows if row["what"] == "closed" and row["k"] == rank), None)
            bench.add(method.name, rank, seconds, **({"times_closed": seconds / alone} if alone else {}))
        del state
    bench.show()


if __name__ == "__main__":
    main()
