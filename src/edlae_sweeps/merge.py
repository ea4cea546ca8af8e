"""`python -m edlae_sweeps.merge`, and the `edlae-sweeps-merge` command: the results of another store in this one."""

from collections.abc import Callable

from edlae_sweeps.cli.start import start


def main() -> None:
    """Run from the command line."""
    start("merge", _command)


def _command() -> Callable[[], None]:
    # --help does without these imports.
    from edlae_sweeps.cli.merge import main as run

    return run


if __name__ == "__main__":
    main()
