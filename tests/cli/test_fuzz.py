"""A thousand hostile values: each is accepted, or refused in one line before anything is computed or logged."""

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from commands import errors, run_command
from fuzzing import SMALL, Case, Fuzz

from edlae_sweeps.cli.compose import conf_dir
from edlae_sweeps.cli.errors import user_message
from edlae_sweeps.console import printable
from edlae_sweeps.datasets import Synthetic
from edlae_sweeps.errors import MissingExtra
from edlae_sweeps.jobs import files, plan, run
from edlae_sweeps.settings import Settings
from edlae_sweeps.tracking import Store

# Numbers and texts for each key.
EACH = 5
# Keys that open other stores, or workers.
ELSEWHERE = ("tracking.uri", "tracking.dir", "parallel.scheduler")


@pytest.fixture(scope="module")
def fuzz() -> Fuzz:
    return Fuzz()


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("events.csv").write_text("user,item\na,b\n")


def refusal(error: Exception, case: Case) -> None:
    """Check that an error is one line that names the key, or the value."""
    message, shown = user_message(error, conf_dir()), f"{case.command}: {case.key}={case.value[:60]!r}"
    assert message is not None, f"{shown} ends with {error!r}"
    assert len(printable(message).splitlines()) == 1, f"{shown}: {message}"
    key, value = case.key.rpartition(".")[2], case.value.strip("'\"")[:20]
    assert key in message or (value and value in message), f"{shown}: {message}"


def accepted(fuzz: Fuzz) -> Iterator[tuple[Case, object]]:
    """The cases whose settings can be made, with these; checks how the others are refused."""
    for case in fuzz.cases(EACH):
        try:
            settings = fuzz.settings(case)
        except Exception as error:  # noqa: BLE001
            refusal(error, case)
        else:
            yield case, settings


def test_there_are_a_thousand_cases_and_every_key_is_among_them(fuzz):
    cases = list(fuzz.cases(EACH))
    assert len(cases) >= 1000
    keys = {(case.command, case.key) for case in cases}
    assert {("config", "rank"), ("config", "method.xi"), ("config", "tune.grid_points"), ("recommend", "k"),
            ("merge", "source"), ("register", "methods"), ("report", "datasets")} <= keys  # fmt: skip


@pytest.mark.slow
def test_every_value_is_accepted_or_refused_in_one_line(fuzz, tmp_path, new_store, monkeypatch):
    # What takes time and does not depend on the settings.
    monkeypatch.setattr(plan, "_product_seconds", lambda *_: 1.0)
    monkeypatch.setattr(files, "distributions", list)
    monkeypatch.setattr(run, "quick_imports", nullcontext)
    new_store(tmp_path / "mlruns")
    output = tmp_path / "output"
    output.mkdir()
    dry = 0
    for case, settings in accepted(fuzz):
        runs = isinstance(settings, Settings) and isinstance(settings.dataset, Synthetic) and settings.dry_run
        if not runs or case.key in ELSEWHERE:
            continue
        dry += 1
        try:
            run.run_job(settings, output, {})
        except MissingExtra:
            # Of the environment, not of the value.
            continue
        except Exception as error:  # noqa: BLE001
            refusal(error, case)
    assert dry > 50
    assert Store(None, tmp_path / "mlruns").existing() == []


@pytest.mark.parametrize(
    ("module", "arguments", "named"),
    [
        ("__main__", (*SMALL, "memory=1e400"), "memory=inf"),
        ("__main__", (*SMALL, "dataset.topics=3000000000"), "dataset.topics=3000000000"),
        ("__main__", (*SMALL, "dataset.n_users=10000000000"), "dataset.n_users=10000000000"),
        ("__main__", (*SMALL, "dataset.n_users=2000000000"), "dataset.n_users=2000000000"),
        ("__main__", (*SMALL, "tune=optuna", "tune.sampler=grid", "tune.grid_points=10000"), "tune.grid_points=10000"),
        ("__main__", (*SMALL, "tune=optuna", "tune.n_trials=1000000000000000000000000"), "tune.n_trials=10000000000"),
        ("__main__", (*SMALL, "seed=" + "9" * 5000), "seed=999"),
        ("__main__", (*SMALL, "tracking.uri='a\nb'"), r"tracking.uri=a\nb"),
        ("report", ("datasets=[[1]]",), "datasets"),
        ("register", ("data_dir='\ud800'",), r"data_dir=\ud800"),
        ("recommend", ("items=[a]", "k=99999999999999999999"), "k=99999999999999999999"),
        ("merge", ("source='a\x1b[31mb'",), r"source=a\x1b[31mb"),
    ],
)
def test_a_command_ends_with_one_line_and_status_2(module, arguments, named, tmp_path, new_store, capfd):
    new_store(tmp_path / "mlruns")
    status, _, lines = run_command(module, arguments, capfd)
    assert status == 2
    (line,) = errors(lines)
    assert named in line
    assert not any("Traceback" in line for line in lines)
    assert not list(tmp_path.glob("mlruns/artifacts/*"))
