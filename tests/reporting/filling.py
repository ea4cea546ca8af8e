"""Small jobs on made-up data that fill a store."""

from collections.abc import Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir

from edlae_sweeps.cli.compose import register, typed
from edlae_sweeps.cli.keys import conf_dir
from edlae_sweeps.cli.versions import VERSION_BASE
from edlae_sweeps.jobs.run import run_job
from edlae_sweeps.settings import Settings

SMALL = ("dataset=synthetic", "dataset.n_users=600", "dataset.n_items=60", "dataset.mean_events=15",
         "dataset.topics=5", "dataset.heldout_users=100", "dtype=float64")  # fmt: skip


def settings(folder: Path, *overrides: str) -> Settings:
    """The settings of a small job with its store in `folder`."""
    register()
    with initialize_config_dir(str(conf_dir()), **VERSION_BASE):
        return typed(compose("config", [*SMALL, f"tracking.dir={folder}", *overrides]), Settings)


def run(folder: Path, *overrides: str, output: Path | None = None) -> list:
    """Run one job as the command line does; return its cells."""
    if output is None:
        output = folder / "hydra" / str(len(list(folder.glob("hydra/*"))))
        output.mkdir(parents=True)
    composed = {"overrides.yaml": "".join(f"- {override}\n" for override in (*SMALL, *overrides))}
    return run_job(settings(folder, *overrides), output, composed)


def fill(folder: Path, jobs: Sequence[Sequence[str]]) -> Path:
    """Run the jobs; return `folder`."""
    for overrides in jobs:
        run(folder, *overrides)
    return folder
