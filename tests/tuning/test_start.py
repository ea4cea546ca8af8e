"""The run that tune.start names gives the first point, if its parameters are numbers of the method."""

from types import SimpleNamespace

import pytest

from edlae_sweeps.errors import ConfigError
from edlae_sweeps.settings import Optuna, Settings
from edlae_sweeps.tracking import StoredRun
from edlae_sweeps.tuning.search import _start_point

TUNE = Optuna(search={"l2": [1, 100], "dropout": [0, 0.5]}, start="abc")


def start(**params: str) -> dict[str, float]:
    run = StoredRun("abc", params, {}, {}, "run")
    return _start_point(Settings(tune=TUNE), TUNE, SimpleNamespace(get=lambda _: run))


def test_its_parameters_replace_those_of_the_method():
    assert start(l2="7", method="other") == {"l2": 7.0, "dropout": Settings().method.dropout}


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"l2": "auto"}, "tune.start=abc: its l2 is auto, no number to start from"),
        ({"l2": "None"}, "tune.start=abc: its l2 is None, no number to start from"),
        ({"l2": "nan"}, "method.l2=nan: choose a number from 0"),
        ({"dropout": "1.5"}, "method.dropout=1.5: choose a probability"),
        ({"omega": "1"}, "tune.start=abc: this run has none of the parameters l2, dropout"),
    ],
)
def test_a_run_that_is_no_start_is_refused_in_one_line(params, message):
    with pytest.raises(ConfigError, match=message):
        start(**params)
