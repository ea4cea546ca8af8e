"""Ways to low-rank EDLAE compared: the objective (Eq. 7) and test nDCG@100 of each, by rank.

    python tests/benchmarks/approximation.py [--ranks 10 50 100 200 500] [--l2 10] [--dropout 0.1] [--epochs 100]

Each row is compared with the closed form: the objective in per cent, nDCG by the paired difference over test users with
its standard error, and diag(UVᵀ) by its correlation over items. `admm best` keeps the best of --epochs; `local optimum`
is what L-BFGS reaches from the closed form.
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

from lbfgs import local_optimum

from edlae_sweeps.datasets import Debian, TrainingData, load, load_gram
from edlae_sweeps.evaluation import diagonal, evaluate
from edlae_sweeps.methods import Admm, Closed, Method, State
from edlae_sweeps.models import Epochs, LowRank


def ways(arguments: argparse.Namespace) -> dict[str, Method]:
    """Name → method; the closed form first."""
    options = {"l2": arguments.l2, "dropout": arguments.dropout}
    return {
        "closed, β zero": Closed(**options),
        "closed, β column_max": Closed(**options, beta="column_max"),
        **{f"closed, β iterate {i}": Closed(**options, beta="iterate", beta_iterations=i) for i in (1, 5)},
        "admm 10 epochs": Admm(**options, omega=arguments.omega),
        "admm best": Admm(**options, omega=arguments.omega, epochs=arguments.epochs, tolerance=1e-5),
    }


def models(data: TrainingData, rank: int, arguments: argparse.Namespace) -> Iterator[tuple[str, State, LowRank, float]]:
    """Name, state, model, and seconds without the inverse of each way to one rank; the closed form first."""
    reference: tuple[State, LowRank] | None = None
    for name, method in ways(arguments).items():
        state = method.prepare(data, rank)
        start = time.perf_counter()
        model = method.fit(state, rank)
        seconds = time.perf_counter() - start
        record = model.record
        shown = f"{name} ({record.kept}, {record.ended})" if isinstance(record, Epochs) else name
        reference = reference or (state, model)
        yield shown, state, model, seconds
    state, model = reference
    start = time.perf_counter()
    U, V = local_optimum(data.gram, state.penalty, model.U, model.V, arguments.iterations)
    seconds = time.perf_counter() - start
    yield "local optimum", state, LowRank(U.astype(data.dtype), V.astype(data.dtype)), seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", type=int, nargs="+", default=[10, 50, 100, 200, 500])
    parser.add_argument("--l2", type=float, default=10.0)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--omega", type=float, default=10.0)
    parser.add_argument("--epochs", type=int, default=100, help="of ADMM best, at most")
    parser.add_argument("--iterations", type=int, default=300, help="of L-BFGS, at most")
    arguments = parser.parse_args()
    cache = Path(platformdirs.user_cache_dir("edlae_sweeps"))
    data = load(Debian(), cache)
    training = TrainingData(data.train, gram=lambda: load_gram(data, "float32", cache))
    columns = ("rank", "", "objective", "%", "nDCG@100", "difference ± SE", "corr diag", "seconds")
    table = Table(*columns, title=f"debian, λ = {arguments.l2:g}, p = {arguments.dropout:g}, ω = {arguments.omega:g}")
    for rank in arguments.ranks:
        first = None
        for name, state, model, seconds in models(training, rank, arguments):
            objective = state.training_metrics(model)["objective"]
            ndcg, beta = evaluate(model, data.test).values["ndcg_100"], diagonal(model)
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
