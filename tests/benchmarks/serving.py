"""Recommendations in batches and one by one: users/s, and the latency of a request to the real server.

    python tests/benchmarks/serving.py [--ranks 500] [--baskets 20000] [--requests 200] [--full] [dataset=debian ...]
    python tests/benchmarks/serving.py --million [--ranks 200] [--baskets 2000] [--requests 50]

The model is random, since the time does not depend on the scores. Baskets are those of the data's users, repeated.
`recommend_many` and `implicit` (if it is installed) answer a sparse matrix with columns; implicit is given the factors
X U of the users, which it does not compute. `recommend_table` takes names and gives names. The server is started as
documented; a request has one basket, and `ping` is the server's answer without a model.

With --million, a random model of 1,000,000 items with names of 11 characters, and 500,000 users, is saved, loaded and
asked. `gib` is the peak of memory without mapped files: the model's arrays are mapped once it is loaded. Targets: one
basket in a second after the first, and less than half the size of the model at any time after loading.
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
from common import Bench, load_data, parse, parser, timed, watched
from numpy.typing import NDArray
from scipy.sparse import csr_array, csr_matrix, vstack
from threadpoolctl import threadpool_limits

from edlae_sweeps.models import FullRank, LowRank
from edlae_sweeps.serving import Basket, Recommender, UserHistory, load_model, save_mlflow_model

K = 10
PORT = 5917


def main() -> None:
    options = parser(__doc__, [500])
    options.add_argument("--baskets", type=int, default=20_000)
    options.add_argument("--requests", type=int, default=200)
    options.add_argument("--full", action="store_true")
    options.add_argument("--million", action="store_true")
    given, chosen = parse(options)
    if given.million:
        for k in given.ranks:
            million(k, given.baskets, given.requests)
        return
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
        seconds = best(partial(Recommender(model).recommend_table, baskets(rows, data.item_names), K))
        bench.add("recommend_table", k, seconds, flops, per_second=given.baskets / seconds)
        if (answer := with_implicit(model, rows)) is None:
            print("implicit is not installed: no comparison")
        else:
            seconds = best(answer)
            bench.add("implicit", k, seconds, flops, per_second=given.baskets / seconds)
        latencies(bench, Recommender(model, UserHistory.of(data)), k, baskets(rows[: given.requests], data.item_names))
    if given.full:
        full = FullRank(random.standard_normal((n, n), dtype=np.float32), np.ones(n)).described(data.item_names, None)
        seconds = best(partial(full.recommend_many, rows, K))
        bench.add("recommend_many", None, seconds, 2 * rows.nnz * n, per_second=given.baskets / seconds)
    bench.show()


def best(work: Callable[[], Any]) -> float:
    """The shortest of three times: the machine may do other work."""
    return min(timed(work)[0] for _ in range(3))


def baskets(rows: csr_array, names: NDArray[Any]) -> list[Basket]:
    """The rows by name."""
    return [Basket(names[line].tolist()) for line in np.split(rows.indices, rows.indptr[1:-1])]


def million(k: int, number: int, requested: int) -> None:
    """Seconds and memory from the arrays of a model of a million items to its answers."""
    random = np.random.default_rng(0)
    bench = Bench.on(f"a million items, {number:,} baskets, k = {K}", random.random((4000, 4000), dtype=np.float32))

    def add(what: str, work: Callable[[], Any], **more: Any) -> Any:
        with watched(mapped=False) as peak:
            seconds, result = timed(work)
        bench.add(what, k, seconds, gib=peak[0] / 1024**3, **{name: count / seconds for name, count in more.items()})
        return result

    with tempfile.TemporaryDirectory() as folder:
        path = add("make and save", lambda: save_mlflow_model(Path(folder) / "model", synthetic(random, k)))
        recommender = add("load", lambda: load_model(path))
        model, names = recommender.model, recommender.model.item_names
        indptr = 20 * np.arange(number + 1)
        columns = random.integers(0, model.n_items, 20 * number)
        rows = csr_array((np.ones(len(columns), np.float32), columns, indptr), shape=(number, model.n_items))
        asked = baskets(rows, names)
        for which in ("first", "second"):
            add(f"one basket, {which}", lambda: recommender.recommend(asked[0].items, k=K))
            add(f"one user, {which}", lambda: recommender.recommend(user="user0000077", k=K))
            add(f"similar, {which}", lambda: recommender.similar(asked[0].items[0], K))
        add("popular", lambda: recommender.recommend([], k=K))
        add("recommend_many", lambda: model.recommend_many(rows, K), per_second=number)
        add("recommend_table", lambda: recommender.recommend_table(asked, K), per_second=number)
        latencies(bench, recommender, k, asked[:requested])
    bench.show()


def synthetic(random: np.random.Generator, k: int, n: int = 1_000_000, users: int = 500_000) -> Recommender:
    """A random model of rank k with names of n items, and a history of 20 items for each user."""
    U, V = random.standard_normal((2, n, k), dtype=np.float32)
    names = np.char.mod("item%07d", random.permutation(10 * n)[:n])
    history = np.sort(random.integers(0, n, (users, 20), dtype=np.int32), axis=1)
    known = UserHistory(np.char.mod("user%07d", np.arange(users)), 20 * np.arange(users + 1), history.ravel())
    return Recommender(LowRank(U, V).described(names, random.integers(1, 1000, n).astype(np.float64)), known)


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


def latencies(bench: Bench, recommender: Recommender, k: int, requested: list[Basket]) -> None:
    """Add median and 99th percentile of one basket in this process, of a request, and of a ping."""
    _percentiles(bench, "one basket, in process", k, [partial(recommender.recommend, b.items, k=K) for b in requested])
    with tempfile.TemporaryDirectory() as folder, served(save_mlflow_model(Path(folder) / "model", recommender)) as url:
        session = requests.Session()
        posts = [
            partial(_post, session, url, {"dataframe_records": [{"items": b.items}], "params": {"k": K}})
            for b in requested
        ]
        _percentiles(bench, "one request", k, posts)
        _percentiles(bench, "ping", k, [partial(session.get, f"{url}/ping")] * len(requested))


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
