"""Where the time of a fit of the closed form goes, from G to U, V and B, in n×n×n products.

    python tests/benchmarks/stages.py [--ranks 10 500 1000 5000] [--repeats 3] [dataset=ml-20m-like ...]

inverse    C in the array of G
products   of M with the blocks of the basis
basis      orthogonalisation of the basis
looks      eigenpairs of H
U          C(d∘V)
blocks     passes over n² numbers: M written out, B, and G restored
other      the rest

T is measured before each fit, since the speed of a machine varies; the row with the median of the total is shown.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from common import Bench, load_training, parse, parser, resources, timed

from edlae_sweeps.linalg import krylov
from edlae_sweeps.linalg.host import Host

# What is timed, and under which name: calls within another one count for that alone.
STAGES: list[tuple[Any, str, str]] = [
    (Host, "invert_upper", "inverse"),
    (Host, "symmetric_product", "products"),
    (Host, "upper_product", "U"),
    (Host, "each_block", "blocks"),
    (krylov.Basis, "project", "basis"),
    (krylov.Basis, "next_block", "basis"),
    (krylov.Basis, "eigenpairs", "looks"),
    (krylov.Basis, "gap", "looks"),
]


@contextmanager
def watched_stages() -> Iterator[tuple[dict[str, float], dict[str, int]]]:
    """Seconds and calls of each stage within the block."""
    seconds: dict[str, float] = defaultdict(float)
    calls: dict[str, int] = defaultdict(int)
    inside = False

    def watch(function: Callable[..., Any], stage: str) -> Callable[..., Any]:
        def timed_call(*args: Any, **options: Any) -> Any:
            nonlocal inside
            if inside:
                return function(*args, **options)
            inside = True
            start = time.perf_counter()
            try:
                return function(*args, **options)
            finally:
                inside = False
                seconds[stage] += time.perf_counter() - start
                calls[stage] += 1

        return timed_call

    patches = [patch.object(owner, name, watch(getattr(owner, name), stage)) for owner, name, stage in STAGES]
    for each in patches:
        each.start()
    try:
        yield seconds, calls
    finally:
        for each in patches:
            each.stop()


def main() -> None:
    options = parser(__doc__, [10, 500, 1000, 5000])
    options.add_argument("--repeats", type=int, default=3)
    given, chosen = parse(options)
    data, closed, limits = load_training(chosen), chosen.method, resources(chosen)
    shown = Bench.on("stages of a fit", data.gram)
    for rank in given.ranks:
        rows = []
        for _ in range(given.repeats):
            unit = Bench.on("", data.gram).unit
            with watched_stages() as (seconds, calls):
                total, model = timed(lambda rank=rank: closed.fit(data, rank, resources=limits))
            seconds["other"] = total - sum(seconds.values())
            shares = {stage: value / unit for stage, value in seconds.items()}
            rows.append((total / unit, total, shares, calls, model.record))
            del model
        ratio, total, shares, calls, record = sorted(rows, key=lambda row: row[0])[len(rows) // 2]
        shown.add("closed", rank, total, **shares, total=ratio, steps=record.steps, looked=calls["looks"] // 2)
    shown.show()


if __name__ == "__main__":
    main()
