"""Stores of the first wave stay readable: the same command hashes to the same keys."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from hydra import compose, initialize_config_dir

from edlae_sweeps.cli.compose import register, typed
from edlae_sweeps.cli.hydra_app import current_spelling
from edlae_sweeps.cli.keys import conf_dir
from edlae_sweeps.cli.versions import VERSION_BASE
from edlae_sweeps.settings import Optuna, Settings, run_key, study_key

KEYS = json.loads((Path(__file__).parents[1] / "golden" / "first_wave.json").read_text(encoding="utf-8"))["keys"]
DATA = SimpleNamespace(digest="0" * 64)
OTHER = {
    "closed other": ["tune=optuna", "method.search.l2=[1,50]", "method.search.dropout=null", "tune.sampler=grid",
                     "rank=[10,full]", "method.beta=column_max", "seed=3", "dtype=float64"],
    "deep other": ["method=deep", "method.hidden=[5,6]", "method.init=svd", "method.row_weights=inverse_activity"],
}  # fmt: skip


def settings(*overrides: str) -> Settings:
    register()
    with initialize_config_dir(str(conf_dir()), **VERSION_BASE):
        return typed(compose("config", current_spelling(overrides)), Settings)


def study(job: Settings) -> str:
    assert isinstance(job.tune, Optuna)
    return study_key(job, job.tune, DATA)


@pytest.mark.parametrize("name", sorted(KEYS.keys() - OTHER.keys()))
def test_every_method_and_dataset_has_the_keys_of_the_first_wave(name):
    method, dataset = name.split()
    single = settings(f"method={method}", f"dataset={dataset}")
    keys = {"10": run_key(single, DATA, 10), "full": run_key(single, DATA, "full")}
    if "study" in KEYS[name]:
        tuned = settings(f"method={method}", f"dataset={dataset}", "tune=optuna")
        keys |= {"tuned": run_key(tuned, DATA, 500), "study": study(tuned)}
    assert keys == KEYS[name]


@pytest.mark.parametrize("name", sorted(OTHER))
def test_other_overrides_have_the_keys_of_the_first_wave(name):
    job = settings(*OTHER[name])
    keys = {"10": run_key(job, DATA, 10)}
    if "study" in KEYS[name]:
        keys["study"] = study(job)
    assert keys == KEYS[name]
