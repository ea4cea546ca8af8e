"""`python -m edlae_sweeps.report`, and the `edlae-sweeps-report` command: Figure 1, Table 1 and a page from MLflow."""

from edlae_sweeps.cli.start import start


def main() -> None:
    """Run from the command line."""
    start("report", _run)


def _run() -> None:
    # --help does without these imports.
    from edlae_sweeps.cli.report import main as run

    run()


if __name__ == "__main__":
    main()
