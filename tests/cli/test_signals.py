"""SIGTERM and SIGHUP stop a command as Ctrl-C does, and leave no trace in the process afterwards."""

import signal
import subprocess
import sys

import pytest

from edlae_sweeps.cli.signals import Stopped, stop_signals

SCRIPT = """
import os, signal, time
from edlae_sweeps.cli.signals import stop_signals

class Finalised:
    def __del__(self):
        os.kill(os.getpid(), signal.{name})
        time.sleep(0.1)

# A shell starts background jobs with Ctrl-C ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
for name in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(name, signal.SIG_DFL)
try:
    with stop_signals():
        Finalised()
        time.sleep(20)
    print("lost")
except KeyboardInterrupt:
    print("stopped")
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_signal_in_a_finaliser_is_not_lost(name):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(name=name)], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "stopped\n", done


@pytest.fixture
def default_handlers():
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    for number in before:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("default_handlers")
def test_handlers_and_hook_are_restored():
    hook = sys.unraisablehook
    with stop_signals():
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
        assert sys.unraisablehook is not hook
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)] == [signal.SIG_DFL] * 2
    assert sys.unraisablehook is hook


@pytest.mark.usefixtures("default_handlers")
def test_an_ignored_signal_stays_ignored():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with stop_signals():
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        signal.raise_signal(signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


@pytest.mark.usefixtures("default_handlers")
def test_a_second_signal_does_not_interrupt_the_clean_up():
    with pytest.raises(Stopped, match="SIGTERM"), stop_signals():
        signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGHUP)
    signal.raise_signal(signal.SIGTERM)
