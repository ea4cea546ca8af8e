"""--help and --version: short, complete, and quicker than any import of the mathematics."""

import subprocess
import sys

import pytest

from edlae_sweeps.cli.help import answer_help, help_on, overview
from edlae_sweeps.cli.keys import choice_keys, choices, conf_dir, groups, read_keys

CONF = conf_dir()
COMMANDS = ("report", "merge", "recommend", "register")
HEAVY = ("hydra", "numpy", "scipy", "mlflow", "optuna", "matplotlib", "pyarrow", "rich")
IMPORTED = f"""
import runpy, sys
module = sys.argv.pop(1)
try:
    runpy.run_module(module, run_name="__main__")
except SystemExit as stop:
    print(stop.code, [name for name in {HEAVY} if name in sys.modules], file=sys.stderr)
"""


@pytest.mark.parametrize("argument", ["--help", "--version", "-h"])
@pytest.mark.parametrize("module", ["edlae_sweeps", *(f"edlae_sweeps.{name}" for name in COMMANDS)])
def test_help_imports_nothing_heavy(module, argument):
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, module, argument], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stderr == "0 []\n"


def test_help_is_one_screen_with_every_choice():
    lines = overview(CONF).splitlines()
    assert len(lines) <= 48
    assert max(map(len, lines)) <= 100
    for group in ("method", "dataset"):
        for choice in choices(CONF, group):
            assert any(line.startswith(f"  {choice} ") for line in lines)
    text = "\n".join(lines)
    for part in ("method=NAME (default: closed)", "tune=NAME (default: off): off, optuna", "  rank ", "figure1"):
        assert part in text
    assert "_" not in [name[0] for group in groups(CONF) for name in choices(CONF, group)]


def test_help_on_a_choice_has_its_keys_and_no_others():
    text = help_on(CONF, "method=admm")
    assert text.startswith("method=admm: Low-rank EDLAE by ADMM")
    for name in choice_keys(CONF, "method", "admm"):
        assert f"\n  {name}" in text
    assert "method.omega (default: 500)" in text
    assert "eig_tol" not in text


def test_help_on_all_has_every_key():
    text = help_on(CONF, "all")
    for name in ("rank", "dtype", "method.l2", "method.hidden", "dataset.heldout_users", "tracking.uri", "tune.search"):
        assert f"\n  {name}" in text
    assert "$" not in text


@pytest.mark.parametrize(
    ("topic", "part"),
    [
        ("rank", "Rank k of the model"),
        ("method.epochs", "method.epochs (default: 60) of deep"),
        ("method.epochs", "method.epochs (default: 10) of admm, admm_published, zero_diag"),
        ("tracking", "tracking.dir (default: mlruns)"),
        ("tune=optuna", "tune.n_trials (default: 20)"),
        ("dataset=msd-like", "dataset.topics (default: 200)"),
        ("experiment=table1", "Table 1"),
        ("experiment", "proposition"),
        ("datasets", "Data sets to report on"),
    ],
)
def test_help_on_a_topic(topic, part):
    assert part in help_on(CONF, topic)


@pytest.mark.parametrize("topic", ["methd", "method=clsoed", "method=_penalty", "rank=", "method.nothing"])
def test_help_on_an_unknown_topic(topic, capsys):
    if topic == "rank=":
        assert answer_help("config", ["--help", topic]) == 0
        return
    assert answer_help("config", ["--help", topic]) == 2
    assert capsys.readouterr().err == f"error: --help {topic}: no such choice or key; --help all lists them\n"


def test_other_arguments_are_not_for_help(capsys):
    assert answer_help("config", ["rank=10", "--hydra-help", "--cfg", "job"]) is None
    assert capsys.readouterr().out == ""


def test_version(capsys):
    assert answer_help("config", ["--version"]) == 0
    assert capsys.readouterr().out == "edlae_sweeps 0.1.0\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_has_every_key(capsys, command):
    assert answer_help(command, ["--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"edlae_sweeps.{command}: ")
    keys = read_keys(CONF, CONF / f"{command}.yaml")
    assert {"tracking.dir", "tracking.uri"} < keys.keys()
    assert command in ("report", "merge") or len(keys) > 6
    for name, key in keys.items():
        assert f"\n  {name}" in text
        assert "Example" in " ".join(key.text), name
    assert text.index("tracking.uri") > text.index(f"\n  {next(name for name in keys if '.' not in name)}")


@pytest.mark.parametrize("topic", ["", "all"])
def test_a_reader_that_closes_the_pipe_is_no_error(topic):
    command = f"{sys.executable} -m edlae_sweeps --help {topic} | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, timeout=60)
    assert (done.stdout, done.stderr) == ("0\n", "")
