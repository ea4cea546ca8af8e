"""A stopped command ends with one line that says how to go on."""

import signal
import sys

import pytest
from commands import run_command

from edlae_sweeps.cli.signals import Stopped
from edlae_sweeps.cli.start import start


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
