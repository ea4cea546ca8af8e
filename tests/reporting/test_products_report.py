"""The report keeps fits from products apart from those of a dense G."""

import csv
from pathlib import Path

import numpy as np
import pytest
from filling import fill
from mlflow import MlflowClient

from edlae_sweeps.datasets import read_arrays
from edlae_sweeps.methods import METHODS, REFERENCE
from edlae_sweeps.reporting import Report, report
from edlae_sweeps.reporting.collect import Collected, collect
from edlae_sweeps.reporting.looks import look, place
from edlae_sweeps.tracking import DatasetRecord, Store

PRODUCTS = ("gram=products", "method.probes=10", "method.exact_items=5")
# Better on validation users than those of a dense G, or not: neither may stand for the other.
BOTH = [
    ("rank=[2,5,20]",),
    ("rank=[2,5]", *PRODUCTS),
    ("rank=[2,5]", "method=unconstrained"),
    ("rank=2", "method=svd", "gram=products"),
    *(("rank=2", "repeat=1", *way) for way in ((), PRODUCTS)),
]
ALONE = [("rank=[2,5]", *PRODUCTS), ("rank=5", "method=unconstrained", "gram=products")]


def made(folder: Path, jobs: list[tuple[str, ...]]) -> tuple[Report, Collected]:
    fill(folder, jobs)
    store = Store(None, folder)
    written = report(store, "synthetic", folder / "reports", lambda *_: None)
    return written, collect(store.experiment("synthetic", DatasetRecord("synthetic", ""), []))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Collected]:
    return made(tmp_path_factory.mktemp("both"), BOTH)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Collected]:
    return made(tmp_path_factory.mktemp("alone"), ALONE)


def rows(made: tuple[Report, Collected], table: str) -> list[dict[str, str]]:
    with (made[0].page.parent / f"{table}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_each_way_has_rows_of_its_own(both):
    for table in ("accuracy", "numbers"):
        cells = [(row["method"], row["rank"]) for row in rows(both, table)]
        assert cells == [
            *(("closed", rank) for rank in ("2", "5", "20")),
            *(("closed (products)", rank) for rank in ("2", "5")),
            *(("unconstrained", rank) for rank in ("2", "5")),
            ("svd (products)", "2"),
        ]
    for cell in both[1].best:
        assert ("gram" in cell.run.params) == cell.method.endswith("(products)")


def test_pairs_compare_the_two_ways_on_the_same_users(both):
    folder = both[0].page.parents[2]
    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    ids = {(cell.method, cell.rank): cell.run.id for cell in both[1].best}
    ours, theirs = (
        read_arrays(Path(client.download_artifacts(ids[method, 5], "per_user.npz")))["ndcg_100"]
        for method in ("closed", "closed (products)")
    )
    difference = ours - theirs
    assert np.any(difference)
    table = {row["rank"]: row for row in rows(both, "pairs")}
    assert list(table) == ["2", "5"]
    assert list(table["5"]) == ["rank", "closed − closed (products)", "closed − unconstrained", "parameters"]
    error = difference.std() / np.sqrt(len(difference))
    text = f"{difference.mean():+.4f} ± {error:.4f}"
    assert table["5"]["closed − closed (products)"].rstrip("*") == text


def test_times_of_the_two_ways_are_not_mixed(both):
    (row,) = rows(both, "speedup")
    assert list(row) == [
        "rank", "closed form s", "closed form (products) s", "closed form (products) / closed form",
        "paper: ADMM / closed form s", "parameters",
    ]  # fmt: skip
    seconds = {cell.method: cell.metrics["time/fit_seconds"] for cell in both[1].timed}
    for method in ("closed", "closed (products)"):
        assert row[f"{look(method).label} s"].split()[0] == f"{seconds[method]:.1f}"


def test_the_page_explains_products_where_there_are_some(both, tmp_path):
    page = both[0].page.read_text(encoding="utf-8")
    assert "(products): fitted from products with X alone" in page
    assert '<th scope="row">closed (products), rank 2</th>' in page
    dense, _ = made(tmp_path, [("rank=2",)])
    assert "products" not in dense.page.read_text(encoding="utf-8")


def test_ranks_that_a_method_has_from_products_are_not_missing(both, alone):
    missing = {line.split()[0]: line for line in both[0].left_out}
    assert "at rank 20;" in missing["unconstrained"]
    assert "at rank 2, 5, 20;" in missing["admm"]
    assert not any("products" in line for line in both[0].left_out)
    assert alone[0].left_out == []


def test_products_alone_are_compared_with_each_other(alone):
    assert alone[1].reference == "closed (products)"
    (row,) = rows(alone, "pairs")
    assert list(row) == ["rank", "closed (products) − unconstrained (products)", "parameters"]
    figure = (alone[0].page.parent / "figure1.svg").read_text(encoding="utf-8")
    assert "closed form (products) − other" in figure


def test_products_look_like_their_method_but_for_rings():
    for name, method in METHODS.items():
        of_products = look(f"{name} (products)")
        assert of_products.label == f"{method.look.label} (products)"
        assert (of_products.role, of_products.style.get("color")) == (method.look.role, method.look.style.get("color"))
        assert of_products.style != method.look.style
        assert place(name) < place(f"{name} (products)") < (place(name)[0] + 1, "")
    assert place(f"{REFERENCE} (products)")[0] == place(REFERENCE)[0]
