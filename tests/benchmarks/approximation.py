"""How well the ways to low-rank EDLAE approximate it: the objective (Eq. 7) and test nDCG@100 of each, by rank.

    python tests/benchmarks/approximation.py [--ranks 10 50 100 200 500] [--l2 10] [--dropout 0.1] [--epochs 100]

Every row is compared with the closed form: its objective in per cent, its nDCG by the paired difference of all test
users with its standard error, and its diagonal diag(UVᵀ) by the correlation over items. `admm best` is the best of as
many epochs as are asked for, `local optimum` what L-BFGS reaches from the closed form.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import platformdirs
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

from conftest import DEBIAN, closed
from lbfgs import local_optimum

from edlae_sweeps.datasets import Debian, load, load_gram
from edlae_sweeps.evaluation import diagonal, evaluate
from edlae_sweeps.methods import Admm, Beta, LowRank, training_fit


def models(G: np.ndarray, rank: int, arguments: argparse.Namespace) -> Iterator[tuple[str, LowRank, float]]:
    """Name, model, and seconds beyond the inverse of every way to one rank; the closed form first."""
    l2, dropout, omega = arguments.l2, arguments.dropout, arguments.omega
    methods = {
        "closed, β zero": closed(l2, dropout),
        "closed, β column_max": closed(l2, dropout, Beta.column_max),
        **{f"closed, β iterate {i}": closed(l2, dropout, Beta.iterate, i) for i in (1, 5)},
        "admm 10 epochs": Admm(l2, dropout, 10, 0.0, 0, omega),
        "admm best": Admm(l2, dropout, arguments.epochs, 1e-5, 0, omega),
    }
    first = None
    for name, method in methods.items():
        state = method.factorise(G, method.penalty(G), rank)
        start = time.perf_counter()
        model = method.at_rank(state, rank)
        seconds = time.perf_counter() - start
        if model.history:
            name += f" ({model.history.kept}, {model.history.ended})"
        first = first or model
        yield name, model, seconds
    start = time.perf_counter()
    U, V = local_optimum(G, methods["closed, β zero"].penalty(G), first.U, first.V, arguments.iterations)
    yield "local optimum", LowRank(U.astype(G.dtype), V.astype(G.dtype)), time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", type=int, nargs="+", default=[10, 50, 100, 200, 500])
    parser.add_argument("--l2", type=float, default=10.0)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--omega", type=float, default=10.0)
    parser.add_argument("--epochs", type=int, default=100, help="of ADMM, for its best iterate")
    parser.add_argument("--iterations", type=int, default=300, help="of L-BFGS, at most")
    arguments = parser.parse_args()
    cache = Path(platformdirs.user_cache_dir("edlae_sweeps"))
    data = load(Debian(**DEBIAN), cache)
    G = load_gram(data, "float32", cache)
    penalty = closed(arguments.l2, arguments.dropout).penalty(G)
    columns = ("rank", "", "objective", "%", "nDCG@100", "difference ± SE", "corr diag", "seconds")
    table = Table(*columns, title=f"debian, λ = {arguments.l2:g}, p = {arguments.dropout:g}, ω = {arguments.omega:g}")
    for rank in arguments.ranks:
        first = None
        for name, model, seconds in models(G, rank, arguments):
            objective = training_fit(G, penalty, model).objective
            ndcg, beta = evaluate(model, data.test).ndcg_100, diagonal(model)
            first = first or (objective, ndcg, beta)
            difference = ndcg - first[1]
            row = (
                f"{rank}", name, f"{objective:,.0f}", f"{100 * (objective / first[0] - 1):+.2f}", f"{ndcg.mean():.4f}",
                f"{difference.mean():+.4f} ± {difference.std() / np.sqrt(len(difference)):.4f}",
                f"{np.corrcoef(beta, first[2])[0, 1]:.3f}", f"{seconds:.1f}",
            )  # fmt: skip
            print(*row, sep=" | ", flush=True)
            table.add_row(*row)
    Console(width=130).print(table)


if __name__ == "__main__":
    main()
