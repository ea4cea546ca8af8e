"""Cells with a lower bound on Eq. 7: what a job logs, which cells count as finished, and what the report shows."""

import csv
from pathlib import Path

import pytest
from filling import fill, run
from mlflow import MlflowClient

from edlae_sweeps.errors import ConfigError
from edlae_sweeps.methods import Closed, Svd
from edlae_sweeps.reporting import report
from edlae_sweeps.reporting.looks import look, place
from edlae_sweeps.settings import Settings
from edlae_sweeps.tracking import Store

POINT = ("method.l2=5", "method.dropout=0.2")
JOBS = [
    ("rank=[2,5,full]", "method=closed", "certificate=true", *POINT),
    ("rank=[2,5]", "method=admm", "certificate=true", *POINT),
    ("rank=[2,5]", "method=closed", "method.polish=lbfgs", "certificate=true", *POINT),
    # Another λ; and another cell without a bound, which validates as well as that with one.
    ("rank=2", "method=closed", "certificate=true", "method.l2=50", "method.dropout=0.2"),
    ("rank=2", "method=closed", *POINT),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill(tmp_path_factory.mktemp("store"), JOBS)


@pytest.fixture(scope="module")
def cells(store) -> dict[tuple[str, str, str], dict[str, float]]:
    """Metrics by method, rank and polish of the cells with a bound at the λ of most."""
    client = MlflowClient(f"sqlite:///{store / 'mlflow.db'}")
    (experiment,) = client.search_experiments(filter_string="name = 'synthetic'")
    runs = client.search_runs([experiment.experiment_id], "tags.kind = 'cell' and params.l2 = '5.0'")
    kept = {}
    for stored in runs:
        params = stored.data.params
        if "eq7/lower_bound" in stored.data.metrics:
            kept[params["method"], params["rank"], params.get("polish", "none")] = stored.data.metrics
        elif params["rank"] != "full":
            # The cell that did not ask for one.
            assert not [name for name in stored.data.metrics if name.startswith("eq7/")]
    return kept


def test_cells_have_the_bound_the_gap_and_a_polished_value(cells):
    assert len(cells) == 6
    for (method, rank, polish), metrics in cells.items():
        bound, value = metrics["eq7/lower_bound"], metrics["train/objective"]
        assert 0 < bound < value
        assert metrics["eq7/gap"] == pytest.approx(1 - bound / value)
        # The bound is that of all models of the rank.
        assert bound == pytest.approx(cells["closed", rank, "none"]["eq7/lower_bound"], rel=1e-6)
        assert bound < metrics["eq7/polished"] <= value * (1 + 1e-6)
        assert metrics["time/certificate_seconds"] > 0
        if polish == "lbfgs":
            assert metrics["eq7/polished"] == pytest.approx(value, rel=1e-5)
            assert metrics["eq7/closed_form"] == pytest.approx(cells["closed", rank, "none"]["train/objective"])
            assert value < cells["closed", rank, "none"]["eq7/polished"]
        elif method == "closed":
            assert metrics["eq7/polished"] < value


def test_report_has_the_bound_beside_each_method(store, cells):
    page = report(Store(None, store), "synthetic", store / "reports", lambda *_: None).page
    with (page.parent / "sandwich.csv").open(encoding="utf-8") as file:
        rows = {row["rank"]: row for row in csv.DictReader(file)}
    assert list(rows) == ["2", "5"]
    for rank, row in rows.items():
        bound = cells["closed", rank, "none"]["eq7/lower_bound"]
        assert row["lower bound"] == f"{bound:,.1f}"
        value = cells["closed", rank, "none"]["train/objective"]
        assert row["closed form (nDCG@100)"].startswith(f"{value:,.1f} ({100 * (1 - bound / value):.2f} %) / 0.")
        best = min(min(metrics["train/objective"], metrics["eq7/polished"])
                   for (_, of, _), metrics in cells.items() if of == rank)  # fmt: skip
        assert row["best known"].startswith(f"{best:,.1f} ")
    assert list(rows["2"])[3:] == [
        "ADMM (nDCG@100)",
        "closed form (nDCG@100)",
        "closed form (polished) (nDCG@100)",
        "parameters",
    ]
    assert (page.parent / "sandwich.png").exists()
    assert (page.parent / "rivals.png").exists()
    assert "Eq. 7 and its lower bound" in page.read_text(encoding="utf-8")
    # A polished model never stands for the closed form.
    with (page.parent / "numbers.csv").open(encoding="utf-8") as file:
        numbers = {(row["method"], row["rank"]): row for row in csv.DictReader(file)}
    assert float(numbers["closed", "2"]["train/objective"]) > float(
        numbers["closed (polished)", "2"]["train/objective"]
    )


def test_a_finished_cell_without_the_bound_is_computed_again(tmp_path, new_store):
    new_store(tmp_path)
    job = ("rank=[2,full]", "method=closed", "skip_finished=true", *POINT)
    plain = run(tmp_path, *job)
    bounded = run(tmp_path, *job, "certificate=true")
    again = run(tmp_path, *job, "certificate=true")
    for cells in zip(plain, bounded, again, strict=True):
        assert len({cell.tags["run_key"] for cell in cells}) == 1
        low = cells[0].params["rank"] == 2
        assert ["eq7/lower_bound" in cell.metrics for cell in cells] == [False, low, low]
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    (experiment,) = client.search_experiments(filter_string="name = 'synthetic'")
    runs = client.search_runs([experiment.experiment_id], "tags.kind = 'cell'")
    # The full rank has no bound, and was taken from the store the second time.
    assert sorted(stored.data.params["rank"] for stored in runs) == ["2", "2", "full"]


def test_polished_variants_come_after_their_method():
    names = ["closed (polished)", "svd", "closed", "closed (products)", "admm"]
    assert sorted(names, key=place) == ["admm", "closed", "closed (polished)", "closed (products)", "svd"]
    assert look("closed (polished)").label == "closed form (polished)"
    # Figure 1 has the methods of the paper alone.
    assert look("closed (products)").in_paper
    assert not look("closed (polished)").in_paper


def test_a_certificate_needs_eq_7_and_a_dense_gram():
    with pytest.raises(ConfigError, match=r"certificate=true: method=svd does not minimise Eq\. 7"):
        Settings(method=Svd(), certificate=True)
    with pytest.raises(ConfigError, match="certificate=true: it needs G as a dense array"):
        Settings(gram="products", certificate=True)
    with pytest.raises(ConfigError, match=r"method\.polish=v_step: it needs G as a dense array"):
        Settings(gram="products", method=Closed(polish="v_step"))
    with pytest.raises(ConfigError, match=r"method\.polish_iterations=0"):
        Closed(polish="lbfgs", polish_iterations=0)
