"""The application as a user starts it: in a process of its own, in an empty folder."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import ViewType

COMMAND = [sys.executable, "-m", "edlae_sweeps"]


def client(folder: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{folder / 'mlruns' / 'mlflow.db'}")


def all_runs(folder: Path) -> list:
    store = client(folder)
    experiments = [experiment.experiment_id for experiment in store.search_experiments()]
    return list(store.search_runs(experiments, order_by=["attributes.start_time"]))


def everything(uri: str) -> list:
    """All runs of a store, those that were withdrawn too."""
    client = MlflowClient(uri)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return list(client.search_runs(experiments, run_view_type=ViewType.ALL, max_results=5000))


def wait_until(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition did not come true"
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def default_signals() -> None:
    """Handle signals as a terminal's program does, even if the tests run with Ctrl-C or SIGHUP ignored."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@contextmanager
def mlflow_server(folder: Path, database: str = "sqlite:///mlruns/mlflow.db") -> Iterator[tuple[subprocess.Popen, str]]:
    """MLflow's own server in `folder`, by default on the store below it; yields its process and its URI."""
    port = free_port()
    store = ["--backend-store-uri", database, "--artifacts-destination", str(folder / "served")]
    address = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", *store, *address],
        cwd=folder,
        # Seven processes that evaluate language models, each with MLflow's imports.
        env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )

    def answers() -> bool:
        assert process.poll() is None, "the server ended"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        wait_until(answers, 120)
        yield process, f"http://127.0.0.1:{port}"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait()


@pytest.fixture
def start(tmp_path: Path) -> Iterator:
    """Start the application in a folder; processes still running at the end of the test are killed."""
    processes = []

    def call(*arguments: str, folder: Path = tmp_path, **environment: str) -> subprocess.Popen:
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=folder,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            # The tests may run with these ignored, as under nohup and in shells without job control.
            preexec_fn=default_signals,
        )
        processes.append(process)
        return process

    yield call
    for process in processes:
        process.kill()
        process.communicate()
