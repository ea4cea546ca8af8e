"""`python -m edlae_sweeps.report`, and the `edlae-sweeps-report` command: Figure 1, Table 1 and a page from MLflow."""

from collections.abc import Callable

from edlae_sweeps.cli.start import start


def main() -> None:
    """Run from the command line."""
    start("report", _command)


def _command() -> Callable[[], None]:
    # --help does without these imports.
    from edlae_sweeps.cli.report import main as run

    return run


if __name__ == "__main__":
    main()
