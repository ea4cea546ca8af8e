"""Further metrics in the report: a table, columns of numbers.csv, a figure; and how a search by one of them is told."""

import csv
from pathlib import Path
from types import SimpleNamespace

import pytest
from filling import fill

from edlae_sweeps.plots import Series, plot_tail
from edlae_sweeps.reporting import report
from edlae_sweeps.reporting.collect import StoredCell
from edlae_sweeps.reporting.tuned import alike, tuning, tuning_of_pair
from edlae_sweeps.tracking import Store

FURTHER = "evaluation.metrics=[gini_5,recall_5_head,ndcg_100_tail,ndcg_10]"
JOBS = [
    ("rank=[2,5,full]", "method=closed", FURTHER),
    ("rank=[2,5]", "method=unconstrained", FURTHER),
    # Another method has only the usual metrics.
    ("rank=2", "method=relaxed"),
    # So has a newer cell with the key of an older one.
    ("rank=2", "method=closed"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report on the jobs."""
    store = fill(tmp_path_factory.mktemp("store"), JOBS)
    return report(Store(None, store), "synthetic", store / "reports", lambda *_: None).page.parent


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_table_has_a_row_for_each_cell_with_further_metrics(folder):
    table = rows(folder / "further.csv")
    popularity = {row["metric"]: row for row in rows(folder / "popularity.csv")}
    assert float(popularity["gini_5"]["value"]) > max(float(row["Gini@5"]) for row in table)
    assert (popularity["gini_5"]["standard error"], float(popularity["ndcg_10"]["standard error"]) > 0) == ("", True)
    first = (folder / "further.md").read_text(encoding="utf-8").splitlines()[2].split(" | ")
    assert (first[0], first[1], first[-1]) == ("| popularity", "", " |")
    assert first[2] == "{:.4f} ± {:.4f}".format(*map(float, list(popularity["ndcg_10"].values())[1:]))
    assert list(table[0]) == ["method", "rank", "nDCG@10", "tail nDCG@100", "head Recall@5", "Gini@5", "parameters"]
    assert [(row["method"], row["rank"]) for row in table] == [
        ("closed", "2"), ("closed", "5"), ("closed", "full"), ("unconstrained", "2"), ("unconstrained", "5"),
    ]  # fmt: skip
    for row in table:
        assert all("±" in row[name] for name in ("nDCG@10", "tail nDCG@100", "head Recall@5"))
        assert 0 < float(row["Gini@5"]) < 1
        assert row["parameters"] == "as given"
    assert "Beyond accuracy" in (folder / "index.html").read_text(encoding="utf-8")


def test_numbers_have_them_as_further_columns(folder):
    table = {(row["method"], row["rank"]): row for row in rows(folder / "numbers.csv")}
    names = list(table["closed", "2"])
    further = ["test/ndcg_10", "test/ndcg_10_se", "test/ndcg_100_tail", "test/ndcg_100_tail_se", "test/recall_5_head",
               "test/recall_5_head_se", "test/gini_5"]  # fmt: skip
    assert names[names.index("diagonal/q95") + 1 : names.index("run_key")] == further
    shown = {(row["method"], row["rank"]): row for row in rows(folder / "further.csv")}
    for key, row in table.items():
        texts = [row[name] for name in further]
        assert all(texts) if key in shown else not any(texts)
        if key in shown:
            assert f"{float(row['test/gini_5']):.4f}" == shown[key]["Gini@5"]
            tail = shown[key]["tail nDCG@100"].split(" ± ")
            assert tail == [f"{float(row[f'test/ndcg_100_tail{end}']):.4f}" for end in ("", "_se")]


def test_the_figure_is_there(folder):
    assert (folder / "tail.png").stat().st_size > 5_000
    assert "Accuracy against tail by rank" in (folder / "index.html").read_text(encoding="utf-8")


def test_the_figure_names_the_first_and_the_last_rank_once_where_lines_end_together(tmp_path):
    def texts(path: Path) -> str:
        return path.with_suffix(".svg").read_text(encoding="utf-8")

    def line(label: str, values: list[float]) -> Series:
        return Series(label, {"color": "red"}, [10, 50, None], values, [0.01] * 3)

    apart = [line("a", [0.1, 0.2, 0.3]), line("b", [0.1, 0.5, 0.9])]
    tail = [line("a", [0.01, 0.02, 0.03]), line("b", [0.01, 0.05, 0.09])]
    plot_tail("title", apart, tail, tmp_path / "apart")
    # matplotlib writes each text as a comment before its glyphs; one more "full" is the tick of the right panel.
    assert texts(tmp_path / "apart").count("<!-- k = 10 -->") == 1
    assert texts(tmp_path / "apart").count("<!-- full -->") == 3
    assert "<!-- k = 50 -->" not in texts(tmp_path / "apart")
    single = [Series("a", {}, [7], [0.1], [0.01])]
    plot_tail("title", single, single, tmp_path / "single")
    assert texts(tmp_path / "single").count("<!-- k = 7 -->") == 1


def cell(method: str, evaluations: int | None, tuned_by: str | None = None) -> StoredCell:
    params = {"tune": "off" if evaluations is None else "optuna"}
    metrics = {} if evaluations is None else {"tune/evaluations": float(evaluations)}
    tags = {"tuned_by": tuned_by} if tuned_by else {}
    return StoredCell(method, 2, SimpleNamespace(params=params, metrics=metrics, tags=tags))


def test_a_search_by_another_metric_is_told_and_not_compared_silently():
    plain, tail, other = cell("a", 3), cell("b", 3, "ndcg_100_tail"), cell("c", 5, "ndcg_100_tail")
    assert tuning(plain) == "tuned, 3 evaluations"
    assert tuning(tail) == "tuned by tail nDCG@100, 3 evaluations"
    assert (alike(plain, tail), alike(tail, other), alike(plain, cell("d", None))) == (False, True, False)
    assert tuning_of_pair(tail, other) == "tuned by tail nDCG@100, 3 and 5 evaluations"
    assert tuning_of_pair(plain, tail) == (
        "tuned by different metrics (a: tuned, 3 evaluations; b: tuned by tail nDCG@100, 3 evaluations)"
    )
    assert tuning_of_pair(plain, cell("d", None)).startswith("tuned against untuned (a: tuned")
    assert tuning_of_pair(cell("e", None), cell("d", None)) == "as given"
