"""Commands run in this process, in an empty folder with a store of its own."""

import importlib
import logging
import os
import sys
from collections.abc import Callable

import pytest

# Exit status, lines of standard output, lines of standard error.
Done = tuple[int, list[str], list[str]]
Command = Callable[..., Done]

SMALL = (
    "dataset=synthetic", "dataset.n_users=300", "dataset.n_items=40", "dataset.mean_events=12",
    "dataset.topics=5", "dataset.heldout_users=50",
)  # fmt: skip


def run_command(module: str, arguments: tuple[str, ...], capfd: pytest.CaptureFixture) -> Done:
    """Run `python -m edlae_sweeps.MODULE`."""
    name = f"edlae_sweeps.{module}"
    argv, full = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv = [name, *arguments]
    try:
        with pytest.raises(SystemExit) as stop:
            importlib.import_module(name).main()
    finally:
        sys.argv = argv
        os.environ.pop("HYDRA_FULL_ERROR", None)
        if full is not None:
            os.environ["HYDRA_FULL_ERROR"] = full
    logging.shutdown()
    text = capfd.readouterr()
    return int(stop.value.code or 0), text.out.splitlines(), text.err.splitlines()


def errors(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith("error: ")]
