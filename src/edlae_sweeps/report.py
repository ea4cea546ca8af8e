"""`python -m edlae_sweeps.report`: Figure 1, Table 1 and a page, from what MLflow holds."""

import sys


def main() -> None:
    """Run from the command line; Ctrl-C is to be as quiet during the imports as later."""
    try:
        from edlae_sweeps import cli

        cli.report()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
