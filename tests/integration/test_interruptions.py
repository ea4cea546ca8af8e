"""The status of a run after its process was stopped, and what a dead server costs."""

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress

import pytest

from edlae_sweeps.datasets import Debian, load

from .conftest import COMMAND, all_runs, default_signals, mlflow_server, wait_until

pytestmark = pytest.mark.usefixtures("debian")


def running(folder) -> bool:
    return (folder / "mlruns" / "mlflow.db").exists() and any(run.info.status == "RUNNING" for run in all_runs(folder))


@pytest.fixture
def started(start, tmp_path, new_store):
    """A main job that has started to compute."""
    # The database exists before the job starts, so that reading it here can't disturb its creation.
    new_store(tmp_path / "mlruns")
    job = start("rank=500")
    wait_until(lambda: running(tmp_path))
    return job


@pytest.mark.parametrize(
    ("number", "name"), [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM"), (signal.SIGHUP, "SIGHUP")]
)
def test_a_stopped_run_is_killed(started, tmp_path, number, name):
    started.send_signal(number)
    _, err = started.communicate(timeout=60)
    assert started.returncode == 128 + number
    assert f"stopped by {name}" in err.splitlines()[-1]
    assert "Traceback" not in err
    assert [run.info.status for run in all_runs(tmp_path)] == ["KILLED"]


def test_closing_the_terminal_kills_the_run(tmp_path, new_store):
    new_store(tmp_path / "mlruns")
    pid, terminal = pty.fork()
    if pid == 0:
        default_signals()
        os.chdir(tmp_path)
        os.execv(sys.executable, [*COMMAND, "rank=500"])
    # Without a reader the job would wait for its terminal.
    reader = threading.Thread(target=drain, args=[terminal], daemon=True)
    reader.start()
    wait_until(lambda: running(tmp_path))
    os.kill(pid, signal.SIGHUP)
    os.close(terminal)
    os.waitpid(pid, 0)
    assert [run.info.status for run in all_runs(tmp_path)] == ["KILLED"]


def drain(terminal: int) -> None:
    with suppress(OSError):
        while os.read(terminal, 1024):
            pass


def test_the_next_start_closes_runs_of_dead_processes_and_leaves_living_ones(started, start, tmp_path):
    first = all_runs(tmp_path)[0].info.run_id
    # Another job: the same one would wait for the first.
    living = start("rank=400")
    # A job that is stopped while it writes would lock the database: both have logged what they start from.
    wait_until(lambda: sum(bool(run.inputs.dataset_inputs) for run in all_runs(tmp_path)) == 2)
    started.kill()
    started.wait()
    living.send_signal(signal.SIGSTOP)
    assert {run.info.status for run in all_runs(tmp_path)} == {"RUNNING"}
    next_start = start("rank=full")
    _, err = next_start.communicate(timeout=120)
    assert next_start.returncode == 0, err
    assert "marked 1 run(s) as KILLED" in err
    states = {run.info.run_id: run.info.status for run in all_runs(tmp_path)}
    assert states[first] == "KILLED"
    assert sorted(states.values()) == ["FINISHED", "KILLED", "RUNNING"]
    living.send_signal(signal.SIGCONT)
    assert living.wait(timeout=120) == 0
    assert sorted(run.info.status for run in all_runs(tmp_path)) == ["FINISHED", "FINISHED", "KILLED"]


def test_nohup_is_respected(tmp_path, new_store):
    new_store(tmp_path / "mlruns")
    job = subprocess.Popen(
        ["nohup", sys.executable, "-m", "edlae_sweeps", "rank=full"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    wait_until(lambda: running(tmp_path))
    job.send_signal(signal.SIGHUP)
    job.communicate(timeout=120)
    assert job.returncode == 0
    assert [run.info.status for run in all_runs(tmp_path)] == ["FINISHED"]


def test_a_server_that_refuses_is_an_error_within_ten_seconds(start):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{listener.getsockname()[1]}"
        # Imports don't count.
        begin = time.monotonic()
        subprocess.run([sys.executable, "-c", "import edlae_sweeps.jobs"], check=True)
        imports = time.monotonic() - begin
        begin = time.monotonic()
        job = start("rank=10", f"tracking.uri={uri}")
        _, err = job.communicate(timeout=60)
        assert time.monotonic() - begin - imports < 10
    assert job.returncode == 2
    (line,) = err.splitlines()
    assert line.startswith(f"error: tracking server {uri} does not answer (connection refused)")


def test_a_server_that_dies_during_the_job_costs_no_result(start, tmp_path, data_dir):
    load(Debian(), data_dir)
    (tmp_path / "mlruns").mkdir()
    with mlflow_server(tmp_path) as (server, uri):
        # MLflow's default number of retries takes most of a minute more.
        job = start("rank=[10,20,full]", f"tracking.uri={uri}", MLFLOW_HTTP_REQUEST_MAX_RETRIES="1")
        seen = threading.Event()
        lines: list[str] = []

        def read() -> None:
            for line in job.stderr:
                lines.append(line)
                if line.startswith("popularity baseline"):
                    seen.set()

        reader = threading.Thread(target=read)
        reader.start()
        assert seen.wait(120), lines
        os.killpg(server.pid, signal.SIGKILL)
    job.wait(timeout=180)
    reader.join()
    assert job.returncode == 2
    assert lines[-1].startswith("error: tracking store")
    assert "the results are in" in lines[-1]
    assert "Traceback" not in "".join(lines)
    results = [json.loads(path.read_text()) for path in (tmp_path / "mlruns" / "hydra").rglob("result.json")]
    assert sorted(result["name"] for result in results) == ["closed-full", "closed-k10", "closed-k20"]
