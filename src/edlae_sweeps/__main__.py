"""`python -m edlae_sweeps`, and the `edlae-sweeps` command."""

import sys


def main() -> None:
    """Run from the command line. Imports take seconds: Ctrl-C is to be as quiet during these as later."""
    try:
        from edlae_sweeps import cli

        cli.main()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
