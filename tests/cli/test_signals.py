import subprocess
import sys

SCRIPT = """
import os, signal, time
from edlae_sweeps import cli

class Finalised:
    def __del__(self):
        os.kill(os.getpid(), signal.{name})
        time.sleep(0.1)

# A shell starts what runs in its background with Ctrl-C ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
for name in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(name, signal.SIG_DFL)
cli._hear_signals()
try:
    Finalised()
    time.sleep(20)
    print("lost")
except KeyboardInterrupt:
    print("stopped")
"""


def test_a_signal_that_comes_in_a_finaliser_is_not_lost():
    for name in ("SIGTERM", "SIGHUP", "SIGINT"):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT.format(name=name)], capture_output=True, text=True, check=True, timeout=60
        )
        assert done.stdout == "stopped\n", done
