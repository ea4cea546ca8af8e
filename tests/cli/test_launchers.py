"""A job runs in the worker of a launcher, which unpickles its task in a fresh process."""

import json
import subprocess
import sys
from pathlib import Path

import cloudpickle
from hydra import compose, initialize_config_dir
from omegaconf import open_dict

from edlae_sweeps.cli.compose import register
from edlae_sweeps.cli.keys import conf_dir
from edlae_sweeps.cli.multirun import Multirun
from edlae_sweeps.cli.run import task
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
        config = compose("config", [*SMALL, f"hydra.runtime.output_dir={tmp_path}/0"], return_hydra_config=True)
    with open_dict(config):
        config.hydra.sweep.dir = str(tmp_path)
        config.hydra.job.num = 0
    (tmp_path / "0").mkdir()
    # The parent does this.
    Multirun(tmp_path, "joblib", ["rank=2"], threads=1).write()
    pickled = tmp_path / "task.pkl"
    pickled.write_bytes(cloudpickle.dumps((task, config)))
    done = subprocess.run(
        [sys.executable, "-c", WORKER, pickled], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    # The parent shows what the job left.
    assert done.stdout == ""
    job = json.loads((tmp_path / "0" / "job.json").read_text())
    assert (job["state"], job["name"], job["label"]) == ("finished", "rank=2", "synthetic")
    (result,) = job["results"]
    written = json.loads((tmp_path / "0" / "result.json").read_text())
    assert written.items() <= result.items()
    assert result["baseline"]["baseline/ndcg_100"] > 0
