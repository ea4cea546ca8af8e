"""What every command shares: Hydra composes a configuration and calls a task; errors end in one line."""

import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NoReturn

import hydra
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from edlae_sweeps.cli.compose import register
from edlae_sweeps.cli.errors import MOVED, USER_ERROR, user_message
from edlae_sweeps.cli.keys import conf_dir
from edlae_sweeps.cli.output import CONTINUE, flush_output, print_error, replace_unprintable
from edlae_sweeps.cli.passwords import redacted_configuration, refuse_arguments, refuse_configuration, show_bug
from edlae_sweeps.cli.signals import SIGNAL_STATUS, Stopped, stop_signals
from edlae_sweeps.cli.versions import MAIN
from edlae_sweeps.errors import ConfigError
from edlae_sweeps.settings import SOURCE, STORE, redacted

_MULTIRUN = ("-m", "--multirun")
# Takes a message, empty if all went well, and an exit status.
End = Callable[[str, int], NoReturn]


def end(error: str = "", status: int = 0) -> NoReturn:
    """Print the error, if any, and exit; after a stop, say how to go on."""
    # The terminal may be closed by now.
    with suppress(OSError):
        flush_output()
        if error:
            stopped = f"; {CONTINUE}" if status > SIGNAL_STATUS else ""
            print_error(f"error: {redacted(error)}{stopped}")
    sys.exit(status)


def one_line(error: Exception) -> str | None:
    """One line for an error that the user can fix; None for a bug."""
    return user_message(error, conf_dir())


class NoPasswords(Callback):
    """Hydra calls it before a command writes anything (conf/_hydra.yaml)."""

    def on_run_start(self, config: DictConfig, **_kwargs: Any) -> None:
        """End the command if its configuration holds a password."""
        try:
            refuse_configuration(config)
        except ConfigError as error:
            # Hydra would warn of it, and go on.
            end(str(error), USER_ERROR)

    on_multirun_start = on_run_start


def run_app(
    config_name: str,
    task: Callable[[DictConfig], None],
    end: End = end,
    one_line: Callable[[Exception], str | None] = one_line,
) -> NoReturn:
    """Compose the configuration and call `task`, then `end`.

    `one_line` describes an error that is no bug. The exit status is 0, 2 for such an error, or 128 + the signal that
    stopped the process. Bugs keep their traceback.
    """
    # Without this, Hydra exits by itself with a shortened traceback.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    # An empty variable counts as unset.
    for name in ("EDLAE_SWEEPS_DATA", STORE, SOURCE):
        if os.environ.get(name) == "":
            del os.environ[name]
    replace_unprintable()
    register()
    sys.excepthook = show_bug
    with stop_signals():
        try:
            # Before anything quotes an argument.
            refuse_arguments(sys.argv[1:])
            # Hydra takes -m after an override for the end of the overrides.
            sys.argv[1:] = sorted(current_spelling(sys.argv[1:]), key=lambda word: word not in _MULTIRUN)
            with redacted_configuration(sys.argv[1:]):
                hydra.main(**MAIN, config_path=str(conf_dir()), config_name=config_name)(task)()
        except KeyboardInterrupt as stop:
            name = str(stop) if isinstance(stop, Stopped) else "Ctrl-C"
            said = "; ".join([f"stopped by {name}", *getattr(stop, "__notes__", ())])
            end(said, SIGNAL_STATUS + getattr(stop, "signum", signal.SIGINT))
        except Exception as error:
            if isinstance(error, BrokenPipeError) and not flush_output():
                end("", SIGNAL_STATUS + signal.SIGPIPE)
            message = one_line(error)
            if message is None:
                raise
            end(message, USER_ERROR)
        end("", 0)


def current_spelling(arguments: Sequence[str]) -> list[str]:
    """The overrides with keys that have moved in their new place, each with a note on standard error."""
    current = []
    for argument in arguments:
        renamed = argument
        for old, new in MOVED.items():
            renamed = re.sub(rf"^([+~]*){re.escape(old)}(?=[.=]|$)", rf"\g<1>{new}", renamed)
        if renamed != argument:
            print_error(f"note: {argument} is now {renamed}")
        current.append(renamed)
    return current
