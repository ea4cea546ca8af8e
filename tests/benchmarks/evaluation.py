"""Ranking of held-out users: one rank, nested ranks in one pass, and the full rank, with one thread and with all.

    python tests/benchmarks/evaluation.py [--ranks 100 1000] [--users 50000] [--full] [dataset=msd-like ...]
    python tests/benchmarks/evaluation.py --items 20108 --users 10000

The models are random, since the time does not depend on the scores; with --items, so are the users, with the fold-in
and targets of ml-20m. The products take 2·users·n·k flops; the rest is the selection of the best 100.
"""

from functools import partial

import numpy as np
from common import Bench, load_data, parse, parser, timed, watched
from scipy.sparse import csr_array, random_array

from edlae_sweeps import resources as machine
from edlae_sweeps.datasets import HeldOut
from edlae_sweeps.evaluation import evaluate, evaluate_nested
from edlae_sweeps.models import FullRank, LowRank
from edlae_sweeps.resources import Resources

# Items of a user of ml-20m, on average: fold-in and targets.
_FOLD_IN, _TARGETS = 115, 29


def random_users(users: int, items: int) -> HeldOut:
    """Held-out users with random items."""
    parts = (
        random_array((users, items), density=mean / items, format="csr", dtype=np.float32, rng=mean)
        for mean in (_FOLD_IN, _TARGETS)
    )
    return HeldOut(*map(csr_array, parts), first_user=0)


def main() -> None:
    options = parser(__doc__, [100, 1000])
    options.add_argument("--users", type=int, default=10_000)
    options.add_argument("--items", type=int)
    options.add_argument("--full", action="store_true")
    given, chosen = parse(options)
    whole = random_users(given.users, given.items) if given.items else load_data(chosen).test
    part = slice(0, given.users)
    test = HeldOut(whole.fold_in[part], whole.targets[part], whole.first_user)
    users, n = test.targets.shape
    random = np.random.default_rng(0)
    bench = Bench.on(f"evaluation of {users:,} users", random.random((min(n, 8000), min(n, 8000)), dtype=np.float32))
    for threads in sorted({1, machine.blas_threads()}):
        resources = Resources.here(threads)
        for k in given.ranks:
            U, V = random.standard_normal((2, n, k), dtype=np.float32)
            # Steps of one column would be slow: BLAS takes no part in them.
            model, nested = LowRank(U, V), sorted({max(2, k // 2**i) for i in range(5)})
            with watched() as peak:
                seconds, _ = timed(partial(evaluate, model, test, resources=resources))
            bench.add(f"one rank, {threads} threads", k, seconds, 2 * users * n * k, peak_gib=peak[0] / machine.GIB)
            seconds, _ = timed(partial(evaluate_nested, model, nested, test, resources=resources))
            bench.add(f"{len(nested)} ranks in one pass, {threads} threads", k, seconds, 2 * users * n * k)
        if given.full:
            model = FullRank(random.standard_normal((n, n), dtype=np.float32), np.ones(n))
            seconds, _ = timed(partial(evaluate, model, test, resources=resources))
            bench.add(f"full, {threads} threads", None, seconds, 2 * test.fold_in.nnz * n)
            del model
    bench.show()


if __name__ == "__main__":
    main()
