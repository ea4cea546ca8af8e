"""`python -m edlae_sweeps.register`, and the `edlae-sweeps-register` command: the best cell is registered."""

from collections.abc import Callable

from edlae_sweeps.cli.start import start


def main() -> None:
    """Run from the command line."""
    start("register", _command)


def _command() -> Callable[[], None]:
    # --help does without these imports.
    from edlae_sweeps.cli.register import main as run

    return run


if __name__ == "__main__":
    main()
