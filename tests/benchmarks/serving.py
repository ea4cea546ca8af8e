"""Recommendations in batches and one by one: users/s, and the latency of a request to the real server.

    python tests/benchmarks/serving.py [--ranks 500] [--baskets 20000] [--requests 200] [--full] [dataset=debian ...]

The model is random, since the time does not depend on the scores. Baskets are those of the data's users, repeated.
`recommend_many` and `implicit` (if it is installed) answer a sparse matrix with columns; implicit is given the factors
X U of the users, which it does not compute. `recommend_table` takes names and gives names. The server is started as
documented; a request has one basket, and `ping` is the server's answer without a model.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import requests
from common import Bench, load_data, parse, parser, timed
from scipy.sparse import csr_array, csr_matrix, vstack
from threadpoolctl import threadpool_limits

from edlae_sweeps.datasets import Prepared
from edlae_sweeps.models import FullRank, LowRank
from edlae_sweeps.serving import Basket, Recommender, UserHistory, save_mlflow_model

K = 10
PORT = 5917


def main() -> None:
    options = parser(__doc__, [500])
    options.add_argument("--baskets", type=int, default=20_000)
    options.add_argument("--requests", type=int, default=200)
    options.add_argument("--full", action="store_true")
    given, chosen = parse(options)
    data = load_data(chosen)
    rows = csr_array(vstack([data.train] * (1 + given.baskets // data.train.shape[0]), format="csr")[: given.baskets])
    n, random = data.n_items, np.random.default_rng(0)
    bench = Bench.on(f"{given.baskets:,} baskets, k = {K}", random.random((min(n, 8000),) * 2, dtype=np.float32))
    for k in given.ranks:
        U, V = random.standard_normal((2, n, k), dtype=np.float32)
        model = LowRank(U, V).described(data.item_names, np.ones(n))
        flops = 2 * given.baskets * n * k
        seconds = best(partial(model.recommend_many, rows, K))
        bench.add("recommend_many", k, seconds, flops, per_second=given.baskets / seconds)
        seconds = best(partial(Recommender(model).recommend_table, baskets(rows, data), K))
        bench.add("recommend_table", k, seconds, flops, per_second=given.baskets / seconds)
        if (answer := with_implicit(model, rows)) is None:
            print("implicit is not installed: no comparison")
        else:
            seconds = best(answer)
            bench.add("implicit", k, seconds, flops, per_second=given.baskets / seconds)
        latencies(bench, Recommender(model, UserHistory.of(data)), k, rows, data, given.requests)
    if given.full:
        full = FullRank(random.standard_normal((n, n), dtype=np.float32), np.ones(n)).described(data.item_names, None)
        seconds = best(partial(full.recommend_many, rows, K))
        bench.add("recommend_many", None, seconds, 2 * rows.nnz * n, per_second=given.baskets / seconds)
    bench.show()


def best(work: Callable[[], Any]) -> float:
    """The shortest of three times: the machine may do other work."""
    return min(timed(work)[0] for _ in range(3))


def baskets(rows: csr_array, data: Prepared) -> list[Basket]:
    """The rows by name."""
    return [Basket(data.item_names[line].tolist()) for line in np.split(rows.indices, rows.indptr[1:-1])]


def with_implicit(model: LowRank, rows: csr_array) -> Callable[[], Any] | None:
    """The same recommendations by implicit from the same factors; None if it is not installed."""
    try:
        from implicit.cpu.als import AlternatingLeastSquares
    except ImportError:
        return None
    other = AlternatingLeastSquares(factors=model.rank)
    other.user_factors, other.item_factors = rows @ model.U, model.V

    def recommend() -> None:
        # It has threads of its own, and asks for BLAS with one.
        with threadpool_limits(1, "blas"):
            other.recommend(np.arange(rows.shape[0]), csr_matrix(rows), N=K)

    return recommend


def latencies(bench: Bench, recommender: Recommender, k: int, rows: csr_array, data: Prepared, number: int) -> None:
    """Add median and 99th percentile of one basket in this process, of a request, and of a ping."""
    requested = baskets(rows[:number], data)
    _percentiles(bench, "one basket, in process", k, [partial(recommender.recommend, b.items, k=K) for b in requested])
    with tempfile.TemporaryDirectory() as folder, served(save_mlflow_model(Path(folder) / "model", recommender)) as url:
        session = requests.Session()
        posts = [
            partial(_post, session, url, {"dataframe_records": [{"items": b.items}], "params": {"k": K}})
            for b in requested
        ]
        _percentiles(bench, "one request", k, posts)
        _percentiles(bench, "ping", k, [partial(session.get, f"{url}/ping")] * number)


def _percentiles(bench: Bench, what: str, k: int, calls: list[Callable[[], Any]]) -> None:
    calls[0]()
    seconds = [timed(call)[0] for call in calls]
    for name, level in (("p50", 50), ("p99", 99)):
        bench.add(f"{what}, {name}", k, float(np.percentile(seconds, level)))


def _post(session: requests.Session, url: str, body: dict[str, Any]) -> None:
    answer = session.post(f"{url}/invocations", json=body, timeout=60)
    if len(answer.json().get("predictions", [])) != K:
        raise RuntimeError(answer.text)


@contextmanager
def served(model: Path) -> Iterator[str]:
    """`mlflow models serve` for a model folder; yields its URL when it answers."""
    command = ["-m", str(model), "--env-manager", "local", "--host", "127.0.0.1", "-p", str(PORT)]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "models", "serve", *command],
        env={**os.environ, "PATH": path},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{PORT}"
    try:
        for _ in range(600):
            try:
                requests.get(f"{url}/ping", timeout=5)
                break
            except requests.ConnectionError:
                time.sleep(0.2)
        yield url
    finally:
        for child in psutil.Process(process.pid).children(recursive=True):
            child.terminate()
        process.wait()


if __name__ == "__main__":
    main()
