"""Every choice of conf/ composes to typed settings, with the defaults of the code and a documentation for every key."""

import dataclasses
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from edlae_sweeps.cli.compose import register, typed
from edlae_sweeps.cli.keys import choice_keys, choices, conf_dir, read_keys, schemas
from edlae_sweeps.cli.versions import VERSION_BASE
from edlae_sweeps.datasets import DATASETS
from edlae_sweeps.errors import ConfigError
from edlae_sweeps.methods import METHODS
from edlae_sweeps.methods.shared import Penalised
from edlae_sweeps.settings import (
    PARALLELS,
    TUNES,
    MergeSettings,
    RecommendSettings,
    RegisterSettings,
    ReportSettings,
    Settings,
)

CONF = conf_dir()
# Choices that are another data set with other values.
PRESETS = {"ml-20m-like": "synthetic", "msd-like": "synthetic", "million": "synthetic"}
METHOD_NAMES, DATASET_NAMES = choices(CONF, "method"), choices(CONF, "dataset")


@pytest.fixture(scope="module", autouse=True)
def _schemas() -> None:
    # Once: it takes a third as long as a composition.
    register()


def composed(*overrides: str, config: str = "config"):
    with initialize_config_dir(str(CONF), **VERSION_BASE):
        return compose(config, list(overrides))


def settings(*overrides: str) -> Settings:
    return typed(composed(*overrides), Settings)


@pytest.fixture
def path(tmp_path: Path):
    """The overrides that a data set needs to be valid."""
    (tmp_path / "plays.csv").touch()
    return lambda dataset: [f"dataset.path={tmp_path / 'plays.csv'}"] if dataset == "interactions" else []


def test_choices_have_the_names_of_the_code_they_configure():
    assert sorted(METHODS) == METHOD_NAMES
    assert sorted(TUNES) == choices(CONF, "tune")
    assert sorted(PARALLELS) == choices(CONF, "parallel")
    assert sorted([*DATASETS, *PRESETS]) == DATASET_NAMES


def test_every_schema_in_conf_is_registered_and_the_other_way_round():
    registries = {"dataset": DATASETS, "method": METHODS, "tune": TUNES, "parallel": PARALLELS}
    names = {(f"schema/{group}", name) for group, registry in registries.items() for name in registry}
    others = ("settings", "report", "merge", "recommend", "register", "evaluation", "tracking")
    assert schemas(CONF) == {*names, *(("schema", name) for name in others)}


@pytest.mark.parametrize("dataset", DATASET_NAMES)
@pytest.mark.parametrize("method", METHOD_NAMES)
def test_every_pair_of_method_and_dataset_composes(method, dataset, path):
    job = settings(f"method={method}", f"dataset={dataset}", *path(dataset))
    assert type(job.method) is METHODS[method]
    assert type(job.dataset) is DATASETS[PRESETS.get(dataset, dataset)]


# These data sets set no start values.
@pytest.mark.parametrize("method", METHOD_NAMES)
def test_the_defaults_of_a_method_are_those_of_its_class(method):
    assert settings(f"method={method}", "dataset=synthetic").method == METHODS[method]()


@pytest.mark.parametrize("dataset", sorted(DATASETS.keys() - {"interactions"}))
def test_the_defaults_of_a_dataset_are_those_of_its_class(dataset):
    # conf/ interpolates from start and search; the class does not need them.
    assert dataclasses.replace(settings(f"dataset={dataset}").dataset, start={}, search={}) == DATASETS[dataset]()


def test_the_defaults_of_your_own_table_are_those_of_its_class(path):
    (override,) = path("interactions")
    table = settings("dataset=interactions", override).dataset
    assert dataclasses.replace(table, start={}) == DATASETS["interactions"](path=override.partition("=")[2])


@pytest.mark.parametrize("tune", choices(CONF, "tune"))
def test_the_defaults_of_tune_are_those_of_its_class(tune):
    assert dataclasses.replace(settings(f"tune={tune}").tune, search={}) == TUNES[tune]()


@pytest.mark.parametrize("parallel", choices(CONF, "parallel"))
def test_the_defaults_of_parallel_are_those_of_its_class(parallel):
    required = {"scheduler": "tcp://127.0.0.1:8786"} if parallel == "dask" else {}
    job = settings(f"parallel={parallel}", *(f"parallel.{name}={value}" for name, value in required.items()))
    assert job.parallel == PARALLELS[parallel](**required)


@pytest.mark.parametrize("uri", [None, "http://127.0.0.1:1"])
def test_the_other_defaults_are_those_of_the_classes(monkeypatch, uri):
    if uri:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    job = settings("dataset=synthetic")
    assert dataclasses.replace(job, tune=Settings().tune) == dataclasses.replace(Settings(), dataset=job.dataset)
    monkeypatch.delenv("EDLAE_SWEEPS_DATA")
    assert settings().data_dir == Settings().data_dir
    assert typed(composed(config="report"), ReportSettings) == ReportSettings()
    assert typed(composed(config="register"), RegisterSettings) == RegisterSettings()
    assert typed(composed("source=a", config="merge"), MergeSettings) == MergeSettings(source="a")
    recommend = typed(composed("similar=a", config="recommend"), RecommendSettings)
    assert recommend == RecommendSettings(similar="a")


def test_a_report_of_some_datasets():
    assert typed(composed("datasets=[debian,msd]", config="report"), ReportSettings).datasets == ("debian", "msd")


@pytest.mark.parametrize("dataset", DATASET_NAMES)
def test_every_experiment_composes_for_every_dataset(dataset, path):
    figure = settings("experiment=figure1", f"dataset={dataset}", *path(dataset))
    assert (figure.tune.name, figure.rank[0], figure.rank[-1]) == ("optuna", 10, "full")
    for method in ("closed", "admm", "zero_diag", "unconstrained"):
        settings("experiment=figure1", f"method={method}", f"dataset={dataset}", *path(dataset))
    table = settings("experiment=table1", f"dataset={dataset}", "method=admm_published", *path(dataset))
    assert (table.repeat, table.skip_finished, table.tune.name, table.method.epochs) == (1, False, "off", 10)
    trial = settings("experiment=proposition", f"dataset={dataset}", *path(dataset))
    assert (trial.method.name, trial.rank, trial.tune.name) == ("deep", [10, 50, 200], "off")


def test_the_main_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("EDLAE_SWEEPS_DATA", str(tmp_path))
    job = settings("rank=[10,full]")
    assert (job.method.l2, job.method.dropout) == (10, 0.1)
    assert (job.rank, job.dtype, job.seed) == ([10, "full"], "float32", 0)
    assert job.data_dir == str(tmp_path)
    assert (job.tracking.uri, job.tracking.dir) == (None, "mlruns")


def test_start_values_come_from_the_dataset_or_else_from_the_method():
    assert settings("dataset.start.closed.l2=20").method.l2 == 20
    assert settings("~dataset.start.closed").method.l2 == 500
    assert settings("~dataset.start.closed", "method.l2=7").method.l2 == 7


@pytest.mark.parametrize("dataset", DATASET_NAMES)
def test_start_values_and_ranges_can_be_set_for_every_dataset(dataset, path):
    keys = ["dataset.start.closed.l2=20", "dataset.start.dan.xi=0.5", "dataset.search.l2=[1,5]"]
    job = settings(f"dataset={dataset}", *keys, *path(dataset))
    assert (job.method.l2, job.dataset.start["dan"]["xi"], job.tune.search["l2"]) == (20, 0.5, [1, 5])
    whole = settings(f"dataset={dataset}", "dataset.start={closed:{dropout:0.5}}", *path(dataset))
    assert whole.method.dropout == 0.5


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "dataset.start.close.l2=5",
            r"dataset\.start\.close\.l2: no method reads this key \(nearest: dataset.start.closed",
        ),
        (
            "dataset.start.closed.l2=abc",
            r"dataset\.start\.closed\.l2: Value 'abc' .* converted to Float; see --help dataset.start$",
        ),
        ("dataset.start.closed.eig_tol=0", r"closed\.eig_tol: no method reads .*; method\.eig_tol sets it for a job"),
        (
            "dataset.search.dropout=[0,1]",
            r"search\.dropout: no method reads .*; tune\.search\.dropout sets it for a job",
        ),
        ("dataset.start.closed=5", r"dataset\.start\.closed=5: choose a group of keys"),
    ],
)
def test_a_start_value_that_nothing_reads_is_refused(override, message):
    with pytest.raises(ConfigError, match=message):
        settings(override)


LAMBDA_METHODS = [name for name in METHOD_NAMES if isinstance(METHODS[name](), Penalised)]


@pytest.mark.parametrize("method", LAMBDA_METHODS)
def test_the_strength_on_your_own_data_is_left_to_the_data_unless_it_is_named(method, path):
    own = [f"method={method}", "dataset=interactions", *path("interactions")]
    assert settings(*own).method.l2 is None
    assert settings(*own, "method.l2=7").method.l2 == 7
    assert settings(f"method={method}", "method.l2=null").method.l2 is None


def test_search_ranges_come_from_the_dataset_or_else_from_the_method():
    assert settings().tune.search == {"l2": [0.3, 300], "dropout": [0, 0.8]}
    assert settings("tune=optuna", "dataset=synthetic").tune.search["l2"] == [1, 10000]
    assert settings("dataset.search.l2=[1,2]").tune.search["l2"] == [1, 2]
    assert settings("method=unconstrained", "tune=optuna").tune.search["dropout"] == [0, 0.9]
    assert settings("method=svd").tune.search == {}
    tuned = settings("tune=optuna", "tune.search.l2=[1,9]", "~tune.search.dropout")
    assert tuned.tune.search == {"l2": [1, 9]}


def test_the_seed_of_the_job_is_the_seed_of_its_method():
    assert settings("method=admm", "seed=3").method.seed == 3
    job = settings("method=admm", "seed=3", "method.seed=5")
    assert (job.seed, job.method.seed) == (3, 5)


def test_the_environment_names_the_store(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    assert settings().tracking.uri == "http://127.0.0.1:1"
    assert settings("tracking.uri=null").tracking.uri is None


# A free mapping is one key.
FREE = ("dataset.start", "dataset.search", "tune.search")


def leaves(config: dict, prefix: str = "") -> list[str]:
    keys = []
    for name, value in config.items():
        key = prefix + name
        keys += leaves(value, f"{key}.") if isinstance(value, dict) and key not in FREE else [key]
    return keys


@pytest.mark.parametrize(
    ("group", "choice"), [(group, choice) for group in ("dataset", "method", "tune") for choice in choices(CONF, group)]
)
def test_every_key_is_documented_with_an_example(group, choice):
    chosen = {"dataset": "debian", "method": "closed", "tune": "off", group: choice}
    documented = read_keys(CONF, CONF / "config.yaml")
    for group, choice in chosen.items():
        documented |= choice_keys(CONF, group, choice)
    config = OmegaConf.to_container(composed(*(f"{group}={choice}" for group, choice in chosen.items())))
    assert sorted(documented) == sorted(leaves(config))
    for name, key in documented.items():
        text = " ".join(key.text)
        assert "Example" in text, name
        assert f"{name}=" in text or f"{name}." in text, f"no example sets {name}"
