"""The table at the end of a command."""

import pytest

from edlae_sweeps.cli.summary import print_summary
from edlae_sweeps.errors import TrackingError
from edlae_sweeps.jobs import Result
from edlae_sweeps.settings import Tracking


def result(method: str = "closed", **metrics: float) -> Result:
    scores = dict.fromkeys(("ndcg_100", "ndcg_100_se", "recall_20", "recall_50"), 0.25)
    baseline = {f"baseline/{name}": value for name, value in scores.items()}
    values = {f"test/{name}": value for name, value in scores.items()}
    values |= {"train/squared_error": 68847.4, "time/fit_seconds": 3.21, **metrics}
    params = {"method": method, "rank": 500, "l2": 10.0, "dropout": 0.1}
    return Result(f"{method}-k500", params, values, {"shared": "false"}, {}, baseline)


@pytest.fixture
def shown(monkeypatch, capsys):
    def gone(*_):
        raise TrackingError("the server went away")

    monkeypatch.setattr("edlae_sweeps.cli.summary.Store", gone)

    def shown(width: int, *results: Result) -> list[str]:
        monkeypatch.setenv("COLUMNS", str(width))
        print_summary([("debian", results)], Tracking(uri=f"sqlite:////a/very/{90 * 'long/'}name.db"))
        return capsys.readouterr().out.splitlines()

    return shown


@pytest.mark.parametrize("width", [80, 100, 160])
def test_it_fits_and_what_is_to_be_copied_stays_in_one_piece(shown, width):
    further = {"test/ndcg_100_tail": 0.1, "test/ndcg_100_tail_se": 0.01, "test/coverage_100": 0.5, "test/gini_100": 0.9}
    *table, browse = shown(width, result(), result("admm_published", **further))
    assert max(map(len, table)) <= width
    assert browse.startswith("browse: mlflow ui --backend-store-uri sqlite:///")
    assert browse.endswith("/name.db")


def test_further_metrics_are_columns_of_their_own_without_a_minus_zero(shown):
    lines = shown(160, result(**{"test/gini_20": -1e-17, "test/coverage_20": 0.5}))
    (names,) = [line for line in lines if "method" in line]
    assert names.split()[-4:] == ["fit", "s", "Gini@20", "coverage@20"]
    (row,) = [line for line in lines if "closed" in line]
    assert row.split()[-2:] == ["0.0000", "0.5000"]
