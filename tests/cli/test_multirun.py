"""The jobs of a multirun, as files that the parent shows."""

import json
import os
import signal
from importlib.metadata import distributions
from pathlib import Path

import pytest
from commands import SMALL, Command, run_command
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf, open_dict

from edlae_sweeps.cli.compose import register
from edlae_sweeps.cli.keys import conf_dir
from edlae_sweeps.cli.launchers import jobs_at_once, share, stop_jobs
from edlae_sweeps.cli.multirun import Multirun
from edlae_sweeps.cli.parent import Parent
from edlae_sweeps.cli.signals import Stopped, before_stop, stop_signals, stop_then
from edlae_sweeps.cli.versions import VERSION_BASE
from edlae_sweeps.cli.worker import run_and_record
from edlae_sweeps.errors import ConfigError
from edlae_sweeps.resources import cores
from edlae_sweeps.settings import Tracking


@pytest.fixture
def run(tmp_path: Path, monkeypatch, capfd) -> Command:
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: run_command("__main__", arguments, capfd)


@pytest.fixture
def composed(tmp_path: Path) -> DictConfig:
    """The configuration of job 1 as a launcher's worker has it."""
    register()
    with initialize_config_dir(str(conf_dir()), **VERSION_BASE):
        config = compose("config", ["on_error=stop"], return_hydra_config=True)
    with open_dict(config):
        config.hydra.sweep.dir = str(tmp_path)
        config.hydra.job.num = 1
        config.hydra.runtime.output_dir = str(tmp_path / "1")
    (tmp_path / "0").mkdir()
    (tmp_path / "1").mkdir()
    return config


@pytest.fixture
def worker(composed, monkeypatch):
    """Run job 1 of two as a worker of a launcher does; `run` takes the place of the computation."""
    from hydra.core.hydra_config import HydraConfig

    monkeypatch.setattr(HydraConfig, "get", lambda: composed.hydra)
    return lambda run: run_and_record(composed, run)


@pytest.fixture(autouse=True)
def _handlers():
    # A stop leaves signals ignored, and child processes of later tests would inherit that.
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def multirun(folder: Path, launcher: str = "joblib") -> Multirun:
    made = Multirun(folder, launcher, ["rank=1", "rank=2"])
    made.write()
    return made


def raising(error: BaseException):
    def run(*_arguments):
        print("a line before it")
        raise error

    return run


def test_the_list_of_jobs_names_what_varies(run, tmp_path, monkeypatch):
    monkeypatch.setattr("edlae_sweeps.jobs.run._described", set())
    # The flag may stand anywhere.
    status, out, err = run(*SMALL, "-m", "rank=2,3", "method.l2=10,20", "dry_run=true")
    assert status == 0, err
    (plan,) = tmp_path.rglob("jobs.json")
    assert json.loads(plan.read_text())["names"] == [
        f"rank={rank},method.l2={l2}" for rank in (2, 3) for l2 in (10, 20)
    ]
    assert sum("a dry run" in line for line in out) == 4
    # Four jobs with the same data describe them once.
    assert sum("held-out users" in line for line in err) == 1


def test_the_keys_of_an_experiment_are_named_too_and_the_command_line_wins(run, tmp_path):
    status, _, err = run(*SMALL, "experiment=table1", "rank=2", "repeat=1", "dry_run=true")
    assert status == 0, err
    (plan,) = tmp_path.rglob("jobs.json")
    assert json.loads(plan.read_text())["names"] == ["method=closed", "method=admm", "method=admm_published"]


def test_a_bug_of_one_job_keeps_its_traceback_and_the_results_of_the_others(run, monkeypatch):
    from edlae_sweeps.jobs import run as jobs

    real = jobs._load

    def load(settings, *rest):
        if settings.rank == 3:
            raise ZeroDivisionError("a bug")
        return real(settings, *rest)

    monkeypatch.setattr(jobs, "_load", load)
    status, out, err = run("-m", *SMALL, "rank=2,3,4")
    assert status == 1
    assert sum(line.lstrip().startswith("closed") for line in out) == 2
    assert "Traceback (most recent call last):" in err
    assert "error: job 1 (rank=3) ended by a bug: ZeroDivisionError: a bug" in err
    assert err[-1] == "error: of 3 jobs, 1 failed: 1 (rank=3)"


@pytest.mark.parametrize(
    ("error", "state", "text"),
    [
        (ConfigError("rank=7: too large"), "failed", "rank=7: too large"),
        (Stopped(signal.SIGTERM), "stopped", "stopped by SIGTERM"),
        (KeyboardInterrupt(), "stopped", "stopped by Ctrl-C"),
        (
            Stopped(signal.SIGUSR2),
            "stopped",
            "stopped near its time limit (SIGUSR2); hydra.launcher.max_num_timeout says how often it may go on",
        ),
    ],
)
def test_a_worker_records_how_its_job_ended_and_raises_nothing(worker, tmp_path, error, state, text):
    multirun(tmp_path)
    job = worker(raising(error))
    assert (job.state, job.error, job.printed) == (state, text, "a line before it\n")
    assert multirun(tmp_path).started() == [job]


def test_a_stop_in_the_parents_process_is_raised_again(worker, tmp_path):
    multirun(tmp_path, "basic")
    with pytest.raises(Stopped):
        worker(raising(Stopped(signal.SIGTERM)))
    assert [job.state for job in multirun(tmp_path).started()] == ["stopped"]


def test_a_job_does_not_start_after_a_stop_or_a_failure_with_on_error_stop(worker, tmp_path):
    jobs = multirun(tmp_path)
    jobs.job(0, tmp_path / "0").update("failed", error="no")
    assert worker(raising(AssertionError())).error == "on_error=stop, and job 0 (rank=1) failed"
    jobs.stop()
    assert worker(raising(AssertionError())).error == "the multirun was stopped"


def test_the_end_names_every_job_without_a_result(tmp_path, capfd):
    names = [f"rank={rank}" for rank in range(1, 6)]
    jobs = Multirun(tmp_path, "basic", names)
    jobs.write()
    for number, (state, error) in enumerate([("finished", ""), ("failed", "no"), ("stopped", "by x"), ("running", "")]):
        folder = tmp_path / str(number)
        folder.mkdir()
        jobs.job(number, folder).update(state, error=error)
    error, status = Parent(jobs, Tracking(dir=str(tmp_path / "mlruns"))).end("", 0)
    assert status == 2
    assert error == (
        "of 5 jobs, 1 failed: 1 (rank=2); 1 stopped: 2 (rank=3); 1 ended without a result: 3 (rank=4); "
        "1 not started: 4 (rank=5); "
        "the same command computes what is missing"
    )
    # A stop says so in its own words.
    stopped, status = Parent(jobs, Tracking(dir=str(tmp_path / "mlruns"))).end("stopped by Ctrl-C", 130)
    assert status == 130
    assert stopped == f"stopped by Ctrl-C; {error.removesuffix('; the same command computes what is missing')}"
    assert capfd.readouterr().err.splitlines() == ["error: job 1 (rank=2): no", "job 2 (rank=3): by x"] * 2


def test_jobs_elsewhere_have_their_data_described_once(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr("edlae_sweeps.jobs.run._described", set())
    jobs = multirun(tmp_path)
    parent = Parent(Multirun(tmp_path, "basic", jobs.names), Tracking())
    parent._multirun = jobs
    counts = dict.fromkeys(("training_users", "heldout_users", "items", "training_events"), 7)
    summary = {**counts, "density": 0.5, "digest": "abc", "items_per_user": {"50%": 3}, "users_per_item": {"50%": 2}}
    with caplog.at_level("INFO"):
        for number in range(2):
            (tmp_path / str(number)).mkdir()
            (tmp_path / str(number) / "dataset.json").write_text(json.dumps(summary))
            parent.show(jobs.job(number, tmp_path / str(number)).update("finished"))
    assert [line.split(",")[0] for line in caplog.messages] == [
        "7 training and 2 × 7 held-out users", "items per user: 3 (50%)", "users per item: 2 (50%)",
        "1 of 2", "2 of 2",
    ]  # fmt: skip


def test_a_job_that_went_back_into_the_queue_is_shown_again(tmp_path, capfd):
    (tmp_path / "0").mkdir()
    jobs = multirun(tmp_path, "basic")
    parent, job = Parent(jobs, Tracking()), jobs.job(0, tmp_path / "0")
    for state, error in (
        ("stopped", "near its limit"),
        ("stopped", "near its limit"),
        ("running", ""),
        ("failed", "no"),
    ):
        parent.show(job.update(state, error=error))
    assert capfd.readouterr().err.splitlines() == ["job 0 (rank=1): near its limit", "error: job 0 (rank=1): no"]


def test_composition_errors_are_no_lost_jobs(tmp_path):
    assert Parent(multirun(tmp_path, "basic"), Tracking()).end("method=x: no such choice", 2) == (
        "method=x: no such choice",
        2,
    )


def test_stopping_asks_living_jobs_of_this_machine_alone(tmp_path, monkeypatch):
    jobs = Multirun(tmp_path, "joblib", ["rank=1", "rank=2", "rank=3"])
    jobs.write()
    for number in range(3):
        (tmp_path / str(number)).mkdir()
    living = jobs.job(0, tmp_path / "0").update("running")
    dead = jobs.job(1, tmp_path / "1").update("running", process={**living.process, "pid_ticks": "1"})
    elsewhere = jobs.job(2, tmp_path / "2").update("running", process={**living.process, "machine": "another"})
    asked, kill = [], os.kill

    def asks(pid, signum):
        if not signum:
            return kill(pid, 0)
        asked.append((pid, signum))
        living.update("stopped")
        return elsewhere.update("stopped")

    monkeypatch.setattr(os, "kill", asks)
    assert [job.ended for job in (living, dead, elsewhere)] == [False, True, False]
    stop_jobs(jobs)
    assert asked == [(os.getpid(), signal.SIGTERM)]
    assert jobs.stopped


@pytest.mark.parametrize(
    ("launcher", "options", "jobs", "at_once"),
    [
        ("basic", {}, 4, 1),
        ("submitit_slurm", {"cpus_per_task": 2}, 4, 1),
        ("joblib", {"n_jobs": 3}, 8, 3),
        ("joblib", {"n_jobs": 3}, 2, 2),
        ("joblib", {"n_jobs": -1}, 10**6, cores()),
        ("submitit_local", {"cpus_per_task": None}, 5, 5),
        ("ray", {"ray": {"init": {"address": None}, "remote": {"num_cpus": 1}}}, 10**6, cores()),
        ("ray", {"ray": {"init": {"address": "ray://host"}, "remote": {}}}, 4, 1),
    ],
)
def test_jobs_at_once(launcher, options, jobs, at_once):
    assert jobs_at_once(launcher, OmegaConf.create(options), jobs) == at_once


def test_jobs_side_by_side_share_threads_and_memory():
    assert share("joblib", OmegaConf.create({"n_jobs": 1}), 8) == {}
    two, four = (share("joblib", OmegaConf.create({"n_jobs": n}), 8) for n in (2, 4))
    assert (two["at_once"], two["threads"]) == (2, max(1, cores() // 2))
    assert (four["at_once"], four["threads"]) == (4, max(1, cores() // 4))
    assert four["memory"] == pytest.approx(two["memory"] / 2, rel=0.2)
    assert share("submitit_local", OmegaConf.create({"cpus_per_task": 1}), 2)["threads"] == 1


def test_what_runs_before_a_stop():
    done = []

    def stopped() -> None:
        with stop_signals():
            before_stop(lambda: done.append("jobs stopped"))
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Stopped, match="SIGTERM"):
        stopped()
    assert done == ["jobs stopped"]


def test_a_launchers_signal_stops_the_job_first():
    seen = []
    previous = signal.signal(signal.SIGUSR2, lambda signum, _: seen.append(f"requeued by {signum}"))

    def job() -> None:
        with stop_then(signal.SIGUSR2):
            try:
                signal.raise_signal(signal.SIGUSR2)
            finally:
                seen.append("run closed")

    try:
        with pytest.raises(Stopped):
            job()
        assert seen == ["run closed", f"requeued by {int(signal.SIGUSR2)}"]
        with stop_then(signal.SIGUSR2):
            pass
        signal.raise_signal(signal.SIGUSR2)
        assert len(seen) == 3
        # submitit raises if a job has been back in the queue too often.
        signal.signal(signal.SIGUSR2, lambda *_: 1 // 0)
        with pytest.raises(Stopped):
            job()
    finally:
        signal.signal(signal.SIGUSR2, previous)


@pytest.mark.skipif(any(distributions(name="hydra-ray-launcher")), reason="Ray's launcher is installed")
def test_a_launcher_that_is_not_installed_names_its_extra(run):
    status, _, err = run("experiment=ray")
    assert status == 2
    assert err[-1] == "error: hydra/launcher=ray needs the extra ray: pip install 'edlae_sweeps[ray]'"


@pytest.mark.parametrize(
    ("argument", "part"),
    [
        ("tracking.uri=foo://x", "tracking.uri=foo://x: MLflow keeps runs"),
        ("tracking.dir=''", "tracking.dir is empty"),
        ("hydra.sweep.dir=file/x", "file/x: Not a directory"),
    ],
)
def test_a_multirun_that_cannot_start_is_one_error(run, tmp_path, argument, part):
    (tmp_path / "file").touch()
    status, out, err = run("-m", *SMALL, "rank=2,3", argument)
    assert (status, out) == (2, [])
    (line,) = err
    assert line.startswith("error: ")
    assert part in line


def test_a_bug_in_the_parent_keeps_its_traceback(run, monkeypatch):
    monkeypatch.setattr("edlae_sweeps.cli.parent._names", lambda _: 1 // 0)
    status, out, err = run("-m", *SMALL, "rank=2,3")
    assert (status, out) == (1, [])
    assert err[0] == "Traceback (most recent call last):"
    assert err[-1].startswith("ZeroDivisionError")
