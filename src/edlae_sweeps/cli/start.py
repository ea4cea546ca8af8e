"""How every command starts: what needs no imports first, then the rest; Ctrl-C ends it with a line at any time."""

import sys
from collections.abc import Callable

from edlae_sweeps.cli.help import answer_help
from edlae_sweeps.cli.output import CONTINUE, print_error
from edlae_sweeps.imports import quick_imports


def start(config: str, command: Callable[[], Callable[[], None]]) -> None:
    """Answer --help, --version and tab completion at once; otherwise call what `command` imports and returns.

    `config` is the configuration of the command: config, report, merge, recommend or register.
    """
    arguments = sys.argv[1:]
    try:
        status = answer_help(config, arguments)
        if status is not None:
            sys.exit(status)
        if any(argument.startswith("query=") for argument in arguments):
            from edlae_sweeps.cli.completion import print_completions

            if print_completions(config, arguments):
                sys.exit(0)
        _imported(command)()
    except KeyboardInterrupt:
        print_error(f"error: stopped by Ctrl-C; {CONTINUE}")
        sys.exit(130)


def _imported(command: Callable[[], Callable[[], None]]) -> Callable[[], None]:
    """What `command` imports; one line where packages are missing, since the mathematics alone needs few of them."""
    try:
        with quick_imports():
            return command()
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "edlae_sweeps"):
            raise
        # Plainly: what prints errors needs packages too.
        print(f"error: commands need the package {package}: pip install edlae_sweeps has all of them", file=sys.stderr)
        sys.exit(2)
