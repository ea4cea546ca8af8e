"""A job runs in the worker of a launcher, which unpickles its task in a fresh process."""

import subprocess
import sys
from pathlib import Path

import cloudpickle
from hydra import compose, initialize_config_dir
from omegaconf import open_dict

from edlae_sweeps.cli.compose import register
from edlae_sweeps.cli.keys import conf_dir
from edlae_sweeps.cli.run import Jobs
from edlae_sweeps.cli.versions import VERSION_BASE

WORKER = """
import sys
import cloudpickle
from hydra.core.hydra_config import HydraConfig
from omegaconf import open_dict

task, config = cloudpickle.load(open(sys.argv[1], "rb"))
HydraConfig.instance().set_config(config)
with open_dict(config):
    del config.hydra
task(config)
"""
SMALL = ("dataset=synthetic", "dataset.n_users=300", "dataset.n_items=40", "dataset.mean_events=12", "rank=2",
         "dataset.topics=5", "dataset.heldout_users=50", "hydra.mode=MULTIRUN")  # fmt: skip


def test_the_task_runs_in_another_process(tmp_path: Path):
    register()
    # The launcher of a cluster sets what Hydra sets here.
    with initialize_config_dir(str(conf_dir()), **VERSION_BASE):
        config = compose("config", [*SMALL, f"hydra.runtime.output_dir={tmp_path}"], return_hydra_config=True)
    with open_dict(config):
        config.hydra.runtime.choices = {"hydra/launcher": "joblib"}
    pickled = tmp_path / "task.pkl"
    pickled.write_bytes(cloudpickle.dumps((Jobs().task, config)))
    done = subprocess.run(
        [sys.executable, "-c", WORKER, pickled], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "popularity" in done.stdout
    assert (tmp_path / "result.json").exists()
