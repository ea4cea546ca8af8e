"""Every choice of conf/ composes to typed settings, and every key is documented where it is set."""

import dataclasses
import string
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from edlae_sweeps.cli.config import conf_dir, register, typed
from edlae_sweeps.cli.keys import documentation, read_keys
from edlae_sweeps.datasets import DATASETS
from edlae_sweeps.methods import METHODS
from edlae_sweeps.settings import TUNES, DType, Settings

GROUPS = {path.name for path in conf_dir().iterdir() if path.is_dir()}


def settings(*overrides: str) -> Settings:
    register()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return typed(compose("config", list(overrides)), Settings)


def choices(group: str) -> list[str]:
    return sorted(path.stem for path in (conf_dir() / group).glob("[!_]*.yaml"))


PRESETS = {"ml-20m-like": "synthetic", "msd-like": "synthetic"}


def test_choices_are_named_as_the_code_they_configure():
    assert choices("method") == sorted(METHODS)
    assert choices("tune") == sorted(TUNES)
    assert choices("dataset") == sorted([*DATASETS, *PRESETS])


@pytest.mark.parametrize("dataset", choices("dataset"))
@pytest.mark.parametrize("method", choices("method"))
def test_every_pair_of_method_and_dataset_composes_and_passes_its_checks(method, dataset, tmp_path):
    (tmp_path / "plays.csv").touch()
    path = [f"dataset.path={tmp_path / 'plays.csv'}"] if dataset == "interactions" else []
    found = settings(f"method={method}", f"dataset={dataset}", *path)
    assert type(found.method) is METHODS[method]
    assert type(found.dataset) is DATASETS[PRESETS.get(dataset, dataset)]
    found.check()


@pytest.mark.parametrize("dataset", choices("dataset"))
def test_every_experiment_composes_for_every_dataset(dataset, tmp_path):
    (tmp_path / "plays.csv").touch()
    path = [f"dataset.path={tmp_path / 'plays.csv'}"] if dataset == "interactions" else []
    figure = settings("experiment=figure1", f"dataset={dataset}", *path)
    assert (figure.tune.name, figure.rank[0], figure.rank[-1]) == ("optuna", 10, "full")
    for method in ("closed", "admm", "zero_diag", "unconstrained"):
        settings("experiment=figure1", f"method={method}", f"dataset={dataset}", *path).check()
    table = settings("experiment=table1", f"dataset={dataset}", "method=admm_published", *path)
    assert (table.repeat, table.skip_finished, table.tune.name, table.method.epochs) == (1, False, "off", 10)
    table.check()
    trial = settings("experiment=proposition", f"dataset={dataset}", *path)
    assert (trial.method.name, trial.rank, trial.tune.name) == ("deep", [10, 50, 200], "off")
    trial.check()


def test_the_main_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("EDLAE_SWEEPS_DATA", str(tmp_path))
    found = settings("rank=[10,full]")
    assert (found.method.l2, found.method.dropout) == (10, 0.1)
    assert (found.rank, found.dtype, found.seed) == ([10, "full"], DType.float32, 0)
    assert found.data_dir == str(tmp_path)
    assert (found.tracking.uri, found.tracking.dir) == (None, "mlruns")


def test_start_values_come_from_the_dataset_with_a_generic_fallback():
    assert settings("dataset.start.closed.l2=20").method.l2 == 20
    assert settings("~dataset.start.closed").method.l2 == 500
    assert settings("~dataset.start.closed", "method.l2=7").method.l2 == 7


def test_the_seed_of_the_job_is_that_of_its_method():
    assert settings("method=admm", "seed=3").method.seed == 3
    found = settings("method=admm", "seed=3", "method.seed=5")
    assert (found.seed, found.method.seed) == (3, 5)


def test_environment_names_the_store(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    assert settings().tracking.uri == "http://127.0.0.1:1"
    assert settings("tracking.uri=null").tracking.uri is None


def test_every_key_is_documented_with_an_example():
    documented = {key.name: key for key in read_keys(conf_dir())}
    for method in choices("method"):
        for dataset in choices("dataset"):
            register()
            with initialize_config_dir(str(conf_dir()), version_base="1.3"):
                overrides = [f"method={method}", f"dataset={dataset}", "tune=optuna"]
                config = OmegaConf.to_container(compose("config", overrides))
            for path in leaves(config):
                key = documented.get(path)
                assert key, f"{path} has no comment above it in conf/"
                text = " ".join(key.text)
                assert "Example" in text, path
                assert f"{path}=" in text or f"{path}." in text, f"no example sets {path}"


# A free mapping is one key.
FREE = ("dataset.start", "dataset.search", "method.search")


def leaves(config: dict, prefix: str = "") -> list[str]:
    found = []
    for name, value in config.items():
        path = prefix + name
        found += leaves(value, f"{path}.") if isinstance(value, dict) and path not in FREE else [path]
    return found


def test_settings_have_no_defaults_of_their_own_to_fall_out_of_step_with_conf():
    for schema in (Settings, *METHODS.values(), *DATASETS.values(), *TUNES.values()):
        with_default = [
            field.name
            for field in dataclasses.fields(schema)
            if field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
        ]
        assert with_default in ([], ["start", "search"], ["search"])


def test_documentation_is_safe_in_a_template():
    text = documentation(conf_dir(), "config")
    assert "method=closed: Closed-form" in text
    assert "method=svd: " in text
    assert "every dataset: The keys" in text
    assert string.Template(text).substitute() == text.replace("$$", "$")
