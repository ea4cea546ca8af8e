"""Commands that are printed to be copied: a name from a shared store is inert in a shell, and Hydra reads it back."""

import re
import shlex
from pathlib import Path

import pytest
from commands import SMALL, run_command
from hydra.core.override_parser.overrides_parser import OverridesParser

from edlae_sweeps.tracking import DatasetRecord, Store

NAMES = ["a;touch x", "$(touch x)", "it's so", "${rank}", "a, b"]


@pytest.mark.parametrize("name", NAMES)
def test_the_command_for_a_data_set_of_a_shared_store_is_inert(tmp_path, monkeypatch, capfd, new_store, name):
    monkeypatch.chdir(tmp_path)
    new_store(tmp_path / "mlruns")
    Store(None, Path("mlruns")).experiment(name, DatasetRecord(name, ""), [])
    status, _, err = run_command("register", (), capfd)
    assert status == 2
    (line,) = [line for line in err if "has no finished cell yet" in line]
    match = re.search(r"run (.*) first$", line)
    assert match is not None
    python, option, module, *overrides = shlex.split(match[1])
    assert (python, option, module) == ("python", "-m", "edlae_sweeps")
    given = {each.key_or_group: each.value() for each in OverridesParser.create().parse_overrides(overrides)}
    # OmegaConf reads \${ as ${.
    given["dataset.name"] = str(given["dataset.name"]).replace("\\${", "${")
    assert given == {"dataset": "interactions", "dataset.path": "FILE", "dataset.name": name}


def test_the_command_that_browses_a_store_is_one_word_for_each_part(tmp_path, monkeypatch, capfd, new_store):
    monkeypatch.chdir(tmp_path)
    new_store(tmp_path / "a;touch x")
    status, out, err = run_command("__main__", (*SMALL, "rank=2", "tracking.dir='a;touch x'"), capfd)
    assert status == 0, err
    (line,) = [line for line in out if line.startswith("browse: ")]
    assert shlex.split(line.removeprefix("browse: ")) == [
        "mlflow", "ui", "--backend-store-uri", "sqlite:///a;touch x/mlflow.db"
    ]  # fmt: skip
