"""`python -m edlae_sweeps`."""

from edlae_sweeps.cli import main

if __name__ == "__main__":
    main()
