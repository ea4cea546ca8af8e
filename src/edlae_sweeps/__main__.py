"""`python -m edlae_sweeps`, and the `edlae-sweeps` command."""

from collections.abc import Callable

from edlae_sweeps.cli.start import start


def main() -> None:
    """Run from the command line."""
    start("config", _command)


def _command() -> Callable[[], None]:
    # --help does without these imports.
    from edlae_sweeps.cli.run import main as run

    return run


if __name__ == "__main__":
    main()
