"""No password on the terminal or in a file: neither from the command line, nor from the environment or a file."""

import logging
import sys
from pathlib import Path

import pytest
from commands import SMALL, Command, Done, run_command

from edlae_sweeps.cli import passwords
from edlae_sweeps.errors import DataError

SECRET = "hunter2:s@fe/x"
QUOTED = "hunter2%3As%40fe%2Fx"
URI = f"postgresql+psycopg://me:{QUOTED}@db.net/runs"
REFUSED = "a password is not taken from here, since configurations are written to files; set the environment variable"


@pytest.fixture
def run(tmp_path: Path, monkeypatch, capfd) -> Command:
    """Run a command in an empty folder; no secret may be in what it prints or writes."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str, module: str = "__main__") -> Done:
        done = run_command(module, arguments, capfd)
        files = {str(path.name): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        printed = "\n".join([*done[1], *done[2]]).encode()
        for name, content in {**files, "terminal": printed}.items():
            if name != "mine.yaml":
                assert b"hunter2" not in content, name
                assert b"fe/x" not in content, name
                assert b"fe%2Fx" not in content, name
        return done

    return call


@pytest.mark.parametrize(
    "argument",
    [
        f"tracking.uri={URI}",
        f"+tracking.uri={URI}",
        f"++tracking.uri='{URI}'",
        f"tracking.uri=postgresql://me:{SECRET}@db.net/runs",
        f"tracking.uri=postgresql:/me:{SECRET}@db.net/runs",
        f"tracking.uri=me:{SECRET}@db.net",
        f"tracking.uri=foo://me:{SECRET}@db.net",
        f"tracking.uri=http://me:{SECRET}@db.net",
        f"tracking.uri=http://{SECRET}@db.net",
        f"tracking.uri=postgresql://db.net/runs?password={QUOTED}",
        f"tracking.uri='postgresql://db.net/runs?sslmode=on&sslpassword={SECRET}'",
        f"tracking.uri=sqlite:///a.db,{URI}",
        f"tracking={{uri:{URI}}}",
        f"tracking={{uri: 'postgresql:/me:{SECRET}@db.net/runs'}}",
        f"hydra.job.env_set.MLFLOW_TRACKING_URI={URI}",
        f"+hydra.sweeper.params={{tracking.uri: '{URI}'}}",
        f"tracking.uri={URI},[",
        URI,
        "+hydra.job.env_set.PGPASSWORD=hunter2",
        "+hydra.job.env_set={MLFLOW_TRACKING_TOKEN:hunter2}",
        "hydra.launcher.setup=['export PGPASSWORD=hunter2']",
    ],
)
def test_a_password_in_an_argument_is_refused_before_anything_is_written(run, tmp_path, argument):
    status, out, err = run("-m", *SMALL, "rank=2,3", argument)
    assert (status, out) == (2, [])
    (line,) = err
    assert line.startswith("error: ")
    assert f"{REFUSED} MLFLOW_TRACKING_URI to the URI, or keep the password in ~/.pgpass" in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("module", "arguments", "variable"),
    [
        ("merge", (f"source={URI}",), "EDLAE_SWEEPS_SOURCE"),
        ("merge", ("source=a", f"tracking.uri={URI}"), "MLFLOW_TRACKING_URI"),
        ("report", (f"tracking.uri={URI}",), "MLFLOW_TRACKING_URI"),
        ("register", (f"tracking.uri={URI}",), "MLFLOW_TRACKING_URI"),
        ("recommend", ("items=['https://host/@me']", f"tracking.uri={URI}"), "MLFLOW_TRACKING_URI"),
    ],
)
def test_every_command_refuses_a_password(run, tmp_path, module, arguments, variable):
    status, out, err = run(*arguments, module=module)
    assert (status, out, len(err)) == (2, [], 1)
    assert f"{REFUSED} {variable} to the URI" in err[0]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [(), ("-m",)])
def test_a_password_in_a_file_of_the_users_is_refused_before_it_is_copied(run, tmp_path, mode):
    (tmp_path / "own" / "experiment").mkdir(parents=True)
    file = tmp_path / "own" / "experiment" / "mine.yaml"
    file.write_text(f"# @package _global_\ntracking:\n  uri: {URI}\n")
    status, out, err = run(*mode, "--config-dir=own", *SMALL, "rank=2", "experiment=mine")
    assert (status, out, len(err)) == (2, [], 1)
    assert err[0].startswith(f"error: tracking.uri: {REFUSED}")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [file]


def test_a_variable_with_a_password_is_not_named_by_an_argument(run, tmp_path, monkeypatch):
    # Hydra names folders by the overrides, with the variables resolved.
    monkeypatch.setenv("OTHER_URI", URI)
    status, _, err = run(*SMALL, "tracking.uri=${oc.env:OTHER_URI}", "hydra.run.dir=${hydra.job.override_dirname}")
    assert (status, len(err)) == (2, 1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "argument",
    [
        "hydra.run.dir=out/${tracking.uri}",
        "tracking.dir=out/${.uri}",
        "hydra.job.name=${tracking.uri}",
        "hydra.sweep.dir=out/${oc.env:MLFLOW_TRACKING_URI}",
    ],
)
def test_no_folder_has_the_name_of_a_store_with_a_password(run, tmp_path, monkeypatch, argument):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:{QUOTED}@127.0.0.1:9")
    status, _, err = run("-m", *SMALL, "rank=2,3", argument)
    assert (status, len(err)) == (2, 1)
    assert err[0].startswith(f"error: {argument.partition('=')[0]}: {REFUSED}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "key"),
    [
        ("tracking: {dir: 'a/${oc.env:MINE}'}", "tracking.dir"),
        ("hydra: {sweep: {subdir: '${hydra.job.num}${tracking.uri}'}}\ntracking: {uri: '${oc.env:MINE}'}",
         "hydra.sweep.subdir"),
        (f"tracking: {{uri: \"${{oc.env:OTHER,'{URI}'}}\"}}", "tracking.uri"),
        ("hydra: {job: {env_copy: [PGPASSWORD]}}", "hydra.job.env_set.PGPASSWORD"),
    ],
)  # fmt: skip
def test_a_file_of_the_users_that_leads_to_a_password_is_refused(run, tmp_path, monkeypatch, content, key):
    monkeypatch.setenv("MINE", f"http://me:{QUOTED}@127.0.0.1:9")
    monkeypatch.setenv("PGPASSWORD", "hunter2")
    (tmp_path / "own" / "experiment").mkdir(parents=True)
    file = tmp_path / "own" / "experiment" / "mine.yaml"
    file.write_text(f"# @package _global_\n{content}\n")
    for mode in ((), ("-m",)):
        status, _, err = run(*mode, "--config-dir=own", *SMALL, "rank=2", "experiment=mine")
        assert (status, len(err)) == (2, 1)
        assert err[0].startswith(f"error: {key}: {REFUSED}")
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == [file]


def test_names_with_an_at_sign_are_no_passwords():
    passwords.refuse_arguments(
        ["items=[https://host/@me]", "similar=https://host/@me", "tracking.uri=postgresql+psycopg://me@host/runs",
         "tracking.uri=sqlite:////home/me@work/x.db", "source=/home/me@work/mlruns", "dataset.path=a@b.csv", "-m",
         "hydra.launcher.setup=['export PGPASSWORD=$(cat pw)', 'export PGPASSWORD=\"$PW\"']", "+a@b=c"]
    )  # fmt: skip


def test_names_with_an_at_sign_reach_the_command(run):
    # Hydra joins the arguments to a name, where an @ may follow a :// of another one.
    status, _, err = run("items=['https://host/@me']", "model=none", module="recommend")
    assert (status, len(err)) == (2, 1)
    assert err[0].startswith("error: model=none: ")
    data = ("dataset=interactions", "dataset.name=x://y", "dataset.path=a@b.csv")
    status, _, err = run(*data, "rank=2")
    assert (status, len(err)) == (2, 1)
    assert err[-1].startswith("error: dataset.")
    assert "password" not in err[-1]


def test_the_remedy_for_data_is_a_file(run, tmp_path):
    status, _, err = run("dataset=interactions", "dataset.path=https://me:hunter2@host/x.csv", "rank=2")
    assert status == 2
    assert err[0].endswith("since configurations are written to files; download the file, and name its path")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [(), ("-m",)])
def test_a_store_that_does_not_answer_tells_no_password_of_the_environment(run, tmp_path, monkeypatch, mode):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:{QUOTED}@127.0.0.1:9")
    status, out, err = run(*mode, *SMALL, "rank=2,3" if mode else "rank=2")
    assert (status, out) == (2, [])
    assert "tracking server http://***@127.0.0.1:9 does not answer (connection refused)" in "".join(err)
    assert list(tmp_path.rglob("overrides.yaml"))
    assert list(tmp_path.rglob("multirun.yaml")) or not mode


@pytest.mark.filterwarnings("ignore:Query string argument")
def test_a_finished_run_has_no_password_in_files_artifacts_and_links(run, tmp_path, monkeypatch, new_store):
    # SQLite ignores it.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///store/mlflow.db?password=hunter2")
    new_store(tmp_path / "store")
    status, out, err = run(*SMALL, "rank=2", "hydra.verbose=true")
    assert status == 0, err
    assert 'browse: mlflow ui --backend-store-uri "$MLFLOW_TRACKING_URI"' in out
    configs = [path.read_text() for path in tmp_path.rglob("config.yaml") if path.parent.name != ".hydra"]
    assert len(configs) == 2
    assert all("uri: sqlite:///store/mlflow.db?***" in config for config in configs)


@pytest.mark.parametrize(("error", "status"), [(DataError, 2), (RuntimeError, 1)])
def test_no_file_of_a_multirun_has_a_password_of_an_error(run, tmp_path, monkeypatch, error, status):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", URI)

    def fail(*_):
        raise error(f"no {URI}, nor {SECRET}")

    monkeypatch.setattr("edlae_sweeps.jobs.run_job", fail)
    assert run("-m", *SMALL, "rank=2,3")[0] == status
    jobs = [path.read_text() for path in tmp_path.rglob("job.json")]
    assert len(jobs) == 2
    assert all("no postgresql+psycopg://***@db.net/runs, nor ***" in job for job in jobs)


@pytest.mark.parametrize("uri", [f"foo://me:{QUOTED}@h", f"postgresql://me:{SECRET}@h/x", f"me:{SECRET}@h"])
def test_a_variable_that_can_not_be_used_is_not_shown(run, monkeypatch, uri):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    status, out, err = run(*SMALL, "rank=2")
    assert (status, out, len(err)) == (2, [], 1)
    assert "***@h" in err[0]
    assert "choose http://HOST:PORT" in err[0] or "write %40 for @, %2F for /" in err[0]


# argparse completes options.
@pytest.mark.parametrize("option", ["--resolve", "--re"])
def test_a_printed_configuration_is_redacted(run, monkeypatch, option):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", URI)
    status, out, _ = run("--cfg", "job", option)
    assert status == 0
    assert "  uri: postgresql+psycopg://***@db.net/runs" in out
    assert "rank: 500" in out


def test_tracebacks_and_logs_are_redacted(monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", URI)
    try:
        raise RuntimeError(f"no {URI}, nor {SECRET}")
    except RuntimeError as error:
        passwords.show_bug(type(error), error, error.__traceback__)
        record = logging.LogRecord("name", logging.ERROR, "file", 1, "as %s", (URI,), sys.exc_info())
    shown = capsys.readouterr().err
    assert shown.startswith("Traceback (most recent call last):\n")
    assert shown.endswith("RuntimeError: no postgresql+psycopg://***@db.net/runs, nor ***\n")
    logged = passwords.Redacting("%(message)s").format(record)
    assert logged.startswith("as postgresql+psycopg://***@db.net/runs\nTraceback")
    assert "hunter2" not in logged


def test_a_name_of_a_log_that_is_a_path_is_one_line(run):
    status, out, err = run(*SMALL, "rank=2", "hydra.job.name=a/b")
    assert (status, out, len(err)) == (2, [], 1)
    assert err[0].endswith("/a/b.log: no such folder; choose hydra.job.name without /")
