"""A cluster on this machine: Slurm with one node, PostgreSQL, and MLflow's server on it.

All from distribution packages, as root and without systemd, on free ports, in one temporary folder.

    python -m tests.integration.cluster

keeps it up until Ctrl-C, and prints what another terminal has to export.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psutil
import requests

from .conftest import free_port, mlflow_server, wait_until

# Programs → the Debian package that has them.
_PROGRAMS = {"munged": "munge", "slurmctld": "slurmctld", "slurmd": "slurmd", "sbatch": "slurm-client"}
_SLURM_CONF = """\
ClusterName=bench
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmdPort={node_port}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
AuthType=auth/munge
# A job that is put back into the queue waits until its old credentials have expired, 120 seconds by default.
AuthInfo=socket={folder}/munge/socket,cred_expire=10
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
# The node has the processors that are written here, not those of the machine.
SlurmdParameters=config_overrides
KillWait={kill_wait}
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory={memory} State=UNKNOWN
PartitionName=bench Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


@dataclass(frozen=True)
class Cluster:
    """A cluster that is up.

    folder       its files and logs
    environment  what the commands of Slurm, and ours, need to reach it
    uri          MLflow's server
    database     the PostgreSQL below it
    """

    folder: Path
    environment: Mapping[str, str]
    uri: str
    database: str

    def slurm(self, *command: str) -> str:
        """What a command of Slurm prints; CalledProcessError if it fails."""
        environment = {**os.environ, **self.environment}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
        return done.stdout.strip()

    def queue(self) -> dict[str, str]:
        """Job → state of every job that waits, runs or ends; a job of an array as 12_3."""
        lines = self.slurm("squeue", "--noheader", "--array", "--format", "%i %T").splitlines()
        return dict(line.split() for line in lines)


def missing() -> str:
    """Why this machine can't bring a cluster up; empty if it can."""
    packages = [package for program, package in _PROGRAMS.items() if not shutil.which(program)]
    if not list(Path("/usr/lib/postgresql").glob("*/bin/postgres")):
        packages.append("postgresql")
    modules = ("hydra_plugins.hydra_submitit_launcher", "psycopg")
    # The launchers share the package hydra_plugins, which may be missing itself.
    extras = [name for name in modules if not find_spec(name.split(".")[0]) or not find_spec(name)]
    if sys.platform != "linux" or os.geteuid():
        return "needs root on Linux"
    if packages:
        return f"needs the Debian packages {' '.join(packages)}"
    return f"needs the extras cluster and server ({', '.join(extras)})" if extras else ""


@contextmanager
def cluster(cores: int | None = None, kill_wait: int = 30) -> Iterator[Cluster]:
    """Bring a cluster up; at the end cancel its jobs, take it down and delete it.

    cores      processors that Slurm gives to jobs; by default those of this machine
    kill_wait  seconds from the SIGTERM to the SIGKILL of a job that was cancelled or whose time is over
    """
    folder = Path(tempfile.mkdtemp(prefix="cluster-"))
    # PostgreSQL has a user of its own.
    folder.chmod(0o755)
    try:
        with postgres(folder) as database, slurm(folder, cores, kill_wait) as environment:
            (folder / "mlflow").mkdir()
            with mlflow_server(folder / "mlflow", database) as (_, uri):
                yield Cluster(folder, {**environment, "MLFLOW_TRACKING_URI": uri}, uri, database)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """A PostgreSQL of its own in `folder`, which the user postgres must be able to reach; yields the URI of a database.

    It trusts everybody on this machine, and does not wait for the disk.
    """
    port = free_port()
    tools = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    data = folder / "postgres"
    data.mkdir(mode=0o700)
    user = pwd.getpwnam("postgres")
    os.chown(data, user.pw_uid, user.pw_gid)
    as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "cwd": data}
    initdb = [tools / "initdb", "--pgdata", data, "--auth", "trust", "--no-sync", "--encoding", "UTF8", "--no-locale"]
    subprocess.run(initdb, check=True, capture_output=True, **as_user)
    sockets = ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={data}"]
    server = [tools / "postgres", "-D", data, "-p", str(port), *sockets, "-c", "fsync=off"]
    with _daemon(server, folder / "postgres.log", stop=signal.SIGINT, **as_user):
        address = ["--host", "127.0.0.1", "--port", str(port), "--username", "postgres"]
        wait_until(lambda: subprocess.run([tools / "pg_isready", *address], capture_output=True).returncode == 0)
        subprocess.run([tools / "createdb", *address, "mlflow"], check=True, capture_output=True)
        yield f"postgresql://postgres@127.0.0.1:{port}/mlflow"


@contextmanager
def mlflow_on_postgres(folder: Path) -> Iterator[str]:
    """MLflow's server on a new PostgreSQL database in `folder`, as in `postgres`; yields its URI."""
    (folder / "mlflow").mkdir()
    with postgres(folder) as database, mlflow_server(folder / "mlflow", database) as (_, uri):
        # It creates its tables at the first request.
        assert requests.get(f"{uri}/api/2.0/mlflow/experiments/search?max_results=1", timeout=120).ok
        yield uri


@contextmanager
def slurm(folder: Path, cores: int | None = None, kill_wait: int = 30) -> Iterator[dict[str, str]]:
    """Slurm with this machine as its one node, in `folder`; yields the environment of its commands."""
    host = socket.gethostname().partition(".")[0]
    for name in ("munge", "state", "spool"):
        (folder / name).mkdir()
    key = folder / "munge" / "key"
    key.touch(mode=0o400)
    key.write_bytes(os.urandom(128))
    options = {name: folder / "munge" / name.split("-")[0] for name in ("key-file", "socket", "pid-file", "seed-file")}
    munged = ["munged", "--foreground", *(f"--{name}={path}" for name, path in options.items())]
    conf = folder / "slurm.conf"
    machine = {"host": host, "cores": cores or os.cpu_count(), "memory": psutil.virtual_memory().total // 2**20}
    ports = {"port": free_port(), "node_port": free_port()}
    conf.write_text(_SLURM_CONF.format(folder=folder, kill_wait=kill_wait, **machine, **ports))
    environment = {"SLURM_CONF": str(conf)}
    inherited = {**os.environ, **environment}

    def answers() -> bool:
        done = subprocess.run(["sinfo", "--noheader", "--format", "%T"], env=inherited, capture_output=True, text=True)
        return done.stdout.strip() == "idle"

    with (
        _daemon(munged, folder / "munged.out"),
        _daemon(["slurmctld", "-D"], folder / "slurmctld.out", env=inherited),
        _daemon(["slurmd", "-D"], folder / "slurmd.out", env=inherited),
    ):
        try:
            wait_until(answers, 120)
            yield environment
        finally:
            _cancel_all(inherited)


def _cancel_all(environment: Mapping[str, str]) -> None:
    """Cancel every job and wait until its processes are gone: they would outlive slurmd."""

    def queue_is_empty() -> bool:
        done = subprocess.run(["squeue", "--noheader"], env=environment, capture_output=True, text=True)
        return not done.stdout.strip()

    subprocess.run(["scancel", "--signal=KILL", "--full", f"--user={os.getuid()}"], env=environment)
    subprocess.run(["scancel", f"--user={os.getuid()}"], env=environment)
    with suppress(AssertionError):
        wait_until(queue_is_empty, 120)


@contextmanager
def _daemon(command: Sequence[object], log: Path, stop: int = signal.SIGTERM, **options) -> Iterator[None]:
    """Run a server in the foreground of a session of its own; stop it at the end."""
    with log.open("w") as output:
        process = subprocess.Popen(
            [str(part) for part in command], stdout=output, stderr=output, start_new_session=True, **options
        )
        try:
            time.sleep(0.2)
            assert process.poll() is None, log.read_text()
            yield
        finally:
            process.send_signal(stop)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()


if __name__ == "__main__":
    if reason := missing():
        sys.exit(reason)
    # In the background, too, where a shell may have it ignore Ctrl-C.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    with suppress(KeyboardInterrupt), cluster() as up:
        print("\n".join(f"export {name}={value}" for name, value in up.environment.items()))
        print(f"# PostgreSQL: {up.database}; logs: {up.folder}; Ctrl-C takes it down", flush=True)
        signal.pause()
