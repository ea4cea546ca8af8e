"""experiment=splits composes to the jobs of the command that it stands for."""

import pytest
from hydra import compose, initialize_config_dir

from edlae_sweeps.cli.compose import register, typed
from edlae_sweeps.cli.keys import conf_dir
from edlae_sweeps.cli.versions import VERSION_BASE
from edlae_sweeps.settings import Settings

COMMAND = ("rank=[10,100,500]", "tune=optuna", "tune.n_trials=10")


def composed(*overrides: str, hydra: bool = False):
    register()
    with initialize_config_dir(str(conf_dir()), **VERSION_BASE):
        return compose("config", list(overrides), return_hydra_config=hydra)


def settings(*overrides: str) -> Settings:
    return typed(composed(*overrides), Settings)


def test_sweep_of_every_method_on_each_split():
    hydra = composed("experiment=splits", hydra=True).hydra
    assert hydra.mode.name == "MULTIRUN"
    params = hydra.sweeper.params
    # The last one varies fastest: a sweep that is stopped leaves whole splits.
    assert list(params) == ["dataset.split_seed", "method"]
    assert params["dataset.split_seed"] == "98765,1,2,3,4"
    assert params["method"] == "closed,unconstrained,deql,admm"


@pytest.mark.parametrize("method", ["closed", "unconstrained", "deql", "admm"])
def test_each_job_is_that_of_the_command(method: str):
    job = ("dataset.split_seed=3", f"method={method}")
    assert settings("experiment=splits", *job) == settings(*job, *COMMAND)
