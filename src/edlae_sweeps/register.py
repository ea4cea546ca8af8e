"""`python -m edlae_sweeps.register`, and the `edlae-sweeps-register` command: the best cell is registered."""

from edlae_sweeps.cli.start import start


def main() -> None:
    """Run from the command line."""
    start("register", _run)


def _run() -> None:
    # --help does without these imports.
    from edlae_sweeps.cli.register import main as run

    run()


if __name__ == "__main__":
    main()
