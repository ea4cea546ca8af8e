"""A stopped command ends with one line that says how to go on."""

import signal
import sys

import pytest
from commands import SMALL, run_command

from edlae_sweeps.cli.signals import Stopped
from edlae_sweeps.cli.start import start
from edlae_sweeps.methods import Closed


@pytest.mark.parametrize("module", ["__main__", "report", "merge", "recommend", "register"])
@pytest.mark.parametrize(
    ("stop", "name", "status"), [(KeyboardInterrupt(), "Ctrl-C", 130), (Stopped(signal.SIGTERM), "SIGTERM", 143)]
)
def test_every_command_says_how_to_continue(monkeypatch, capfd, module, stop, name, status):
    def stopped(_task):
        def main():
            raise stop

        return main

    monkeypatch.setattr("hydra.main", lambda **_: stopped)
    assert run_command(module, (), capfd) == (
        status, [], [f"error: stopped by {name}; run the same command to continue"]
    )  # fmt: skip


def test_so_does_one_that_has_not_begun(monkeypatch, capsys):
    def imports():
        raise KeyboardInterrupt

    monkeypatch.setattr(sys, "argv", ["edlae-sweeps"])
    with pytest.raises(SystemExit) as stop:
        start("config", imports)
    assert stop.value.code == 130
    assert capsys.readouterr().err == "error: stopped by Ctrl-C; run the same command to continue\n"


@pytest.mark.parametrize(
    ("job", "note"),
    [
        (("rank=[2,3]",), "; add skip_finished=true to keep the ranks that are finished"),
        (("rank=[2,3]", "skip_finished=true"), ""),
        (("rank=2",), ""),
        (("rank=[2,3]", "tune=optuna"), ""),
    ],
)
def test_a_plain_list_of_ranks_begins_anew_and_says_so(tmp_path, monkeypatch, capfd, new_store, job, note):
    def stopped(*_):
        raise KeyboardInterrupt

    new_store(tmp_path / "mlruns")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Closed, "_prepare", stopped)
    status, _, err = run_command("__main__", (*SMALL, *job), capfd)
    assert (status, err[-1]) == (130, f"error: stopped by Ctrl-C{note}; run the same command to continue")
