"""`python -m edlae_sweeps.recommend`, and the `edlae-sweeps-recommend` command: recommendations by name."""

from collections.abc import Callable

from edlae_sweeps.cli.start import start


def main() -> None:
    """Run from the command line."""
    start("recommend", _command)


def _command() -> Callable[[], None]:
    # --help does without these imports.
    from edlae_sweeps.cli.recommend import main as run

    return run


if __name__ == "__main__":
    main()
