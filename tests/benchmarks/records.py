"""What the record of one evaluation costs: requests and seconds, on SQLite and on MLflow's server.

    python -m tests.benchmarks.records [--records 50]

PostgreSQL is left out where its Debian package or the extra `server` is missing. A server runs on this machine too, so
that the network costs nothing.
"""

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import requests

from edlae_sweeps.tracking import DatasetRecord, Store, origin_tags
from tests.integration.cluster import postgres
from tests.integration.conftest import mlflow_server

# As an evaluation of closed at ten ranks: three metrics with their standard errors at each.
PARAMS = {f"parameter_{number}": number for number in range(12)}
METRICS = [(f"validation/metric_{number}", 0.5, rank) for number in range(6) for rank in range(10)]


@contextmanager
def stores(folder: Path) -> Iterator[dict[str, str | None]]:
    """Name → URI of the stores to measure; None is the database in the folder."""
    (folder / "sqlite").mkdir()
    with mlflow_server(folder / "sqlite") as (_, server):
        uris = {"SQLite": None, "server + SQLite": server}
        if find_spec("psycopg") and list(Path("/usr/lib/postgresql").glob("*/bin/postgres")):
            (folder / "postgresql").mkdir()
            with postgres(folder) as database, mlflow_server(folder / "postgresql", database) as (_, other):
                yield {**uris, "server + PostgreSQL": other}
        else:
            yield uris


def measure(uri: str | None, folder: Path, records: int) -> tuple[float, float, float, float]:
    """Requests to a server for each record; median, least and most seconds."""
    if uri:
        # A server creates its tables at the first request.
        requests.get(f"{uri}/api/2.0/mlflow/experiments/search?max_results=1", timeout=120).raise_for_status()
    experiment = Store(uri, folder).experiment("records", DatasetRecord("records", "0" * 32), [])
    tags = {"kind": "evaluation", "study": "0" * 32, "record.0": json.dumps(PARAMS), **origin_tags("0" * 64)}
    sent = []
    send = requests.Session.send
    requests.Session.send = lambda *args, **options: sent.append(1) or send(*args, **options)
    seconds = []
    try:
        with experiment.run("job", {}, {}) as job:
            experiment.record("warm-up", tags, PARAMS, METRICS, job)
            sent.clear()
            for number in range(records):
                start = time.perf_counter()
                experiment.record(f"record-{number}", tags, PARAMS, METRICS, job)
                seconds.append(time.perf_counter() - start)
            return len(sent) / records, median(seconds), min(seconds), max(seconds)
    finally:
        requests.Session.send = send


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=50)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="records-"))
    # PostgreSQL has a user of its own.
    folder.chmod(0o755)
    try:
        with stores(folder) as uris:
            print(f"{'store':22} {'requests':>8}  seconds a record: median (least–most)")
            for name, uri in uris.items():
                count, middle, least, most = measure(uri, folder / "client", arguments.records)
                shown = f"{count:.1f}" if uri else "–"
                print(f"{name:22} {shown:>8}  {middle:.3f} ({least:.3f}–{most:.3f})", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
