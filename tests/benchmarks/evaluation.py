"""Ranking of held-out users: one rank, ten nested ranks in one pass, and the full rank, with one thread and with all.

    python tests/benchmarks/evaluation.py [--ranks 100 1000] [--users 50000] [--full] [dataset=msd-like ...]

The models are random, since the time does not depend on the scores. The products take 2·users·n·k flops; the rest is
the selection of the best 100.
"""

from functools import partial

import numpy as np
from common import Bench, load_data, parse, parser, timed, watched

from edlae_sweeps import resources as machine
from edlae_sweeps.datasets import HeldOut
from edlae_sweeps.evaluation import evaluate, evaluate_nested
from edlae_sweeps.models import FullRank, LowRank
from edlae_sweeps.resources import Resources


def main() -> None:
    options = parser(__doc__, [100, 1000])
    options.add_argument("--users", type=int, default=10**9)
    options.add_argument("--full", action="store_true")
    given, chosen = parse(options)
    data = load_data(chosen)
    part = slice(0, given.users)
    test = HeldOut(data.test.fold_in[part], data.test.targets[part], data.test.first_user)
    n, users = data.n_items, test.targets.shape[0]
    random = np.random.default_rng(0)
    bench = Bench.on(f"evaluation of {users:,} users", random.random((min(n, 8000), min(n, 8000)), dtype=np.float32))
    for threads in sorted({1, machine.blas_threads()}):
        resources = Resources.here(threads)
        for k in given.ranks:
            U, V = random.standard_normal((2, n, k), dtype=np.float32)
            model, nested = LowRank(U, V), [k * (i + 1) // 10 for i in range(10)]
            with watched() as peak:
                seconds, _ = timed(partial(evaluate, model, test, resources=resources))
            bench.add(f"one rank, {threads} threads", k, seconds, 2 * users * n * k, peak_gib=peak[0] / machine.GIB)
            seconds, _ = timed(partial(evaluate_nested, model, nested, test, resources=resources))
            bench.add(f"ten ranks, {threads} threads", k, seconds, 2 * users * n * k)
        if given.full:
            model = FullRank(random.standard_normal((n, n), dtype=np.float32), np.ones(n))
            seconds, _ = timed(partial(evaluate, model, test, resources=resources))
            bench.add(f"full, {threads} threads", None, seconds, 2 * test.fold_in.nnz * n)
            del model
    bench.show()


if __name__ == "__main__":
    main()
