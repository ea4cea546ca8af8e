"""Tab completion: the choices and keys that a user can type, quickly."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edlae_sweeps.cli.completion import completions
from edlae_sweeps.cli.compose import register
from edlae_sweeps.evaluation import COMMON, METRICS

HEAVY = ("mlflow", "scipy.stats", "optuna", "matplotlib")
SCRIPT = f"""
import sys
from edlae_sweeps.__main__ import main
sys.argv[1:] = ["-sc", "query=bash"]
try:
    main()
finally:
    print([name for name in {HEAVY} if name in sys.modules], "numpy" in sys.modules, file=sys.stderr)
"""


def complete(line: str) -> tuple[list[str], str]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env={**os.environ, "COMP_LINE": f"edlae-sweeps {line}"},
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return done.stdout.split(), done.stderr


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("me", ["memory=", "method.", "method="]),
        ("tune=", ["tune=off", "tune=optuna"]),
        ("method=admm method.e", ["method.epochs="]),
        ("dataset=msd-like dataset.t", ["dataset.topics="]),
        ("-m experiment=t", ["experiment=table1"]),
        ("sch", []),
    ],
)
def test_choices_and_keys_complete_without_the_mathematics(line, expected):
    assert complete(line) == (expected, "[] False\n")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("method.beta=", ["method.beta=zero", "method.beta=column_max", "method.beta=iterate"]),
        ("method.beta=c", ["method.beta=column_max"]),
        ("tune=optuna tune.sampler=", ["tune.sampler=tpe", "tune.sampler=random", "tune.sampler=grid"]),
        ("skip_finished=", ["skip_finished=true", "skip_finished=false", "skip_finished=null"]),
        (
            "tune=optuna tune.metric=ndcg_100_",
            [f"tune.metric=ndcg_100_{view}" for view in ("head", "tail", "unbiased")],
        ),
        ("device=", ["device=cpu", "device=cuda", "device=auto"]),
        ("rank=", ["rank=500"]),
    ],
)
def test_values_complete_as_they_are_typed(line, expected):
    matches, heavy = complete(line)
    assert matches == expected
    assert heavy.startswith("[] ")


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("[c", ["[coverage_20"]),
        ("[ndcg_10,ndcg_1", [f"[ndcg_10,ndcg_100_{view}" for view in ("head", "tail", "unbiased")]),
        ("x", []),
    ],
)
def test_names_complete_in_a_list(start, expected):
    register()
    key = "evaluation.metrics="
    assert completions("config", f"edlae-sweeps {key}{start}") == [f"{key}{value}" for value in expected] or [key]


def test_every_metric_that_is_not_measured_anyway_is_offered():
    register()
    offered = completions("config", "edlae-sweeps evaluation.metrics=")
    assert offered == [f"evaluation.metrics=[{name}" for name in COMMON if name not in METRICS]


def test_fragments_are_not_offered():
    for group in ("method", "dataset", "tune"):
        matches, _ = complete(f"{group}=")
        assert matches
        assert not [match for match in matches if match.startswith(f"{group}=_")]


def test_the_shell_script_names_the_command():
    command = Path(sys.executable).with_name("edlae-sweeps")
    done = subprocess.run([command, "-sc", "install=bash"], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.rstrip().endswith("hydra_bash_completion edlae-sweeps")
