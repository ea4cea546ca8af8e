"""The report on a store that small jobs on made-up data have filled."""

import base64
import csv
import html
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from filling import fill
from mlflow import MlflowClient

from edlae_sweeps.datasets import read_arrays
from edlae_sweeps.errors import DataError
from edlae_sweeps.report import main
from edlae_sweeps.reporting import Report, report
from edlae_sweeps.tracking import Store

# Few enough not to diverge.
EPOCHS = {"admm": ("method.epochs=2",), "admm_published": ("method.epochs=2",)}
JOBS = [
    *(("rank=[2,5,20,full]", f"method={name}", "epoch_metrics=true")
      for name in ("closed", "admm", "zero_diag", "unconstrained", "relaxed")),
    ("rank=[2,5,20]", "method=svd"),
    # The report must show neither: one is worse on validation users, one has another dtype.
    ("rank=5", "method.l2=3000"),
    ("rank=5", "dtype=float32"),
    *((f"rank={rank}", f"method={method}", f"repeat={repeat}", *EPOCHS.get(method, ()))
      for repeat in (1, 2) for rank in (2, 20) for method in ("closed", "admm", "admm_published")),
    ("rank=[2,20]", "repeat=1"),
]  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill(tmp_path_factory.mktemp("store"), JOBS)


@pytest.fixture(scope="module")
def made(store: Path) -> Report:
    return report(Store(None, store), "synthetic", store / "reports", lambda *_: None)


@pytest.fixture
def client(store: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{store / 'mlflow.db'}")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_best_validated_cell_of_each_method_and_rank(client, made):
    table = rows(made.page.parent / "numbers.csv")
    keys = [(row["method"], row["rank"]) for row in table]
    assert len(set(keys)) == len(keys)
    assert [method for method, rank in keys if rank == "2"] == [
        "admm", "closed", "zero_diag", "unconstrained", "relaxed", "svd",
    ]  # fmt: skip
    assert [rank for method, rank in keys if method == "closed"] == ["2", "5", "20", "full"]
    for row in table:
        run = client.get_run(row["run_id"])
        assert run.data.params["dtype"] == "float64"
        assert float(row["test/ndcg_100"]) == run.data.metrics["test/ndcg_100"]
    (closed,) = (row for row in table if (row["method"], row["rank"]) == ("closed", "5"))
    assert float(closed["l2"]) != 3000


def test_left_out_cells_are_listed(made):
    assert any(line.startswith("1 cell with ") and "float32" in line for line in made.left_out)
    assert "2 timed cells: shared factorisation or full rank" in made.left_out
    page = made.page.read_text()
    assert "Left out" in page
    assert "float32" in page


def test_differences_are_paired_by_user(client, made):
    table = {row["rank"]: row for row in rows(made.page.parent / "pairs.csv")}
    assert list(table) == ["2", "5", "20", "full"]
    run_ids = {(row["method"], row["rank"]): row["run_id"] for row in rows(made.page.parent / "numbers.csv")}

    def per_user(method: str) -> np.ndarray:
        return read_arrays(Path(client.download_artifacts(run_ids[method, "5"], "per_user.npz")))["ndcg_100"]

    difference = per_user("closed") - per_user("unconstrained")
    error = difference.std() / np.sqrt(len(difference))
    text = table["5"]["closed − unconstrained"]
    assert re.fullmatch(rf"{difference.mean():+.4f} ± {error:.4f}\**".replace("+", r"\+"), text)
    (row,) = (
        row
        for row in rows(made.page.parent / "statistics.csv")
        if (row["reference − competitor"], row["rank"]) == ("closed − unconstrained", "5")
    )
    assert row["difference"] == f"{difference.mean():+.4f}"
    assert row["stars"] == text.removeprefix(f"{difference.mean():+.4f} ± {error:.4f}")
    assert ("*" in text) == (float(row["p (Holm)"]) < 0.05)


def test_speed_up_uses_stand_alone_repeats(made):
    table = rows(made.page.parent / "speedup.csv")
    assert [row["rank"] for row in table] == ["2", "20"]
    assert list(table[0]) == [
        "rank", "closed form s", "ADMM s", "ADMM as published s",
        "ADMM / closed form", "ADMM as published / closed form", "paper: ADMM / closed form s", "parameters",
    ]  # fmt: skip
    for row in table:
        medians = [float(row[name].split()[0]) for name in ("closed form s", "ADMM s", "ADMM as published s")]
        assert all(value >= 0 for value in medians)
        assert row["ADMM / closed form"]
    assert "Timed on" in made.page.read_text()


def test_equal_cells_give_equal_bytes(store, made, tmp_path):
    files = [path for path in made.page.parent.iterdir() if path.suffix in (".csv", ".md", ".tex")]
    before = {path.name: path.read_bytes() for path in files}
    assert len(before) == 20
    repeated = report(Store(None, store), "synthetic", tmp_path, lambda *_: None)
    assert {name: (repeated.page.parent / name).read_bytes() for name in before} == before


def test_figures_have_three_formats(made):
    for name in ("figure1", "rivals", "training", "epochs", "diagonal"):
        assert (made.page.parent / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert "<svg" in (made.page.parent / f"{name}.svg").read_text()
        assert (made.page.parent / f"{name}.pdf").read_bytes().startswith(b"%PDF")


def test_page_is_self_contained(made):
    page = made.page.read_text()
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    assert "@import" not in page
    assert not re.findall(r"url\((?!#)", page)
    images = re.findall(r'<svg class="whole" [^>]*role="img"[^>]*>', page)
    assert len(images) == 5
    assert all(re.search(r'aria-label="[^"]{20,}"', image) for image in images)
    names = re.findall(r' id="([^"]*)"', page)
    assert len(names) == len(set(names))
    assert set(re.findall(r'(?:href="|url\()#([^")]*)', page)) <= set(names)


def test_each_picture_is_there_as_svg_and_as_png(made):
    page = made.page.read_text()
    pictures = re.findall(r'download="([^"]*)" href="data:image/png;base64,([^"]*)"', page)
    assert [name for name, _ in pictures] == ["figure1.png", "rivals.png", "training.png", "epochs.png", "diagonal.png"]
    for name, content in pictures:
        assert base64.b64decode(content) == (made.page.parent / name).read_bytes()
        drawing = page[page.index(f'<g id="{name[:-4]}">') :]
        assert drawing[: drawing.index("</svg>")].count("<path") > 20


def test_tables_have_captions_and_row_headers(made):
    page = made.page.read_text()
    tables = re.findall(r"<table>.*?</table>", page, re.DOTALL)
    assert len(tables) == 7
    for table in tables:
        assert re.search(r"<caption><span>[^<]{10,}</span></caption>", table)
        body = table[table.index("<tbody>") :]
        assert body.count("<tr>") == len(re.findall(r'<tr>\s*<th scope="row">', body)) > 0


def test_popularity_is_the_first_row_and_has_a_file_of_its_own(client, made):
    table = made.page.parent / "accuracy"
    first = table.with_suffix(".md").read_text(encoding="utf-8").splitlines()
    (popularity,) = (line.split(" | ") for line in first if line.startswith("| popularity"))
    assert first.index(" | ".join(popularity)) == first.index(next(line for line in first if "---" in line)) + 1
    assert popularity[1:6] == [""] * 5
    (parent, *_) = client.search_runs(["1"], "tags.kind = 'job'")
    metrics = parent.data.metrics
    expected = f"{metrics['baseline/recall_20']:.4f} ± {metrics['baseline/recall_20_se']:.4f}"
    assert popularity[7] == expected
    own = {row["metric"]: row for row in rows(made.page.parent / "popularity.csv")}
    assert float(own["recall_20"]["value"]) == metrics["baseline/recall_20"]
    assert float(own["recall_20"]["standard error"]) == metrics["baseline/recall_20_se"]
    page = made.page.read_text(encoding="utf-8")
    section = page[page.index("<h2>Accuracy by rank</h2>\n<div") :]
    assert section.index('<th scope="row">popularity</th>') < section.index('<th scope="row">closed</th>')
    assert "popularity" not in {row["method"] for row in rows(table.with_suffix(".csv"))}


def test_page_shows_the_command_of_each_cell_and_its_own(made):
    page = made.page.read_text()
    assert "python -m edlae_sweeps.report &#39;datasets=[synthetic]&#39;" in page
    for row in rows(made.page.parent / "numbers.csv"):
        assert f'<th scope="row">{row["method"]}, rank {row["rank"]}</th>' in page
        assert row["run_id"] in page
    assert (
        "dataset.heldout_users=100 dtype=float64 &#39;rank=[2,5,20,full]&#39; method=unconstrained epoch_metrics=true"
        in page
    )


def test_report_is_a_run_with_its_files(client, made):
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments, "tags.kind = 'report'")
    assert {run.info.status for run in runs} == {"FINISHED"}
    files = {file.path for file in client.list_artifacts(runs[0].info.run_id)}
    assert {"index.html", "figure1.png", "accuracy.tex", "pairs.md", "numbers.csv"} <= files
    assert made.page.name in files


def test_unknown_data_set_is_refused(store, tmp_path):
    with pytest.raises(DataError, match="the store has no runs of debian; it has synthetic"):
        report(Store(None, store), "debian", tmp_path, lambda *_: None)


def test_name_that_points_outside_the_folder_deletes_nothing(client, store):
    experiment = client.create_experiment("..")
    before = sorted(store.rglob("*.db"))
    with pytest.raises(DataError, match=r"\.\. can't name a folder"):
        report(Store(None, store), "..", store / "reports", lambda *_: None)
    assert sorted(store.rglob("*.db")) == before
    client.delete_experiment(experiment)


def test_moved_store_still_reports(store, tmp_path):
    shutil.copytree(store, tmp_path / "moved")
    hidden = store.rename(store.with_name("hidden"))
    try:
        moved = report(Store(None, tmp_path / "moved"), "synthetic", tmp_path / "reports", lambda *_: None)
    finally:
        # MLflow's database still names the old folder, so the new report's artifacts went there.
        shutil.rmtree(store, ignore_errors=True)
        hidden.rename(store)
    assert rows(moved.page.parent / "pairs.csv")


def test_diagonals_are_compared_by_rank(made):
    table = {row["rank"]: row for row in rows(made.page.parent / "diagonal.csv")}
    assert list(table) == ["2", "5", "20"]
    assert all(-1 <= float(row["correlation over items"]) <= 1 for row in table.values())


@pytest.fixture
def command_line(monkeypatch, capfd):
    """Run the report in this process; return its exit status and the lines on stderr."""

    def call(*arguments: str) -> tuple[int, list[str]]:
        monkeypatch.setattr("sys.argv", ["report", *arguments])
        monkeypatch.setattr("signal.signal", lambda *_: None)
        monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
        with pytest.raises(SystemExit) as stop:
            main()
        return stop.value.code, capfd.readouterr().err.splitlines()

    return call


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "there is nothing to report on"),
        (["datasets=[]"], "there is nothing to report on"),
        (["datasets=[debian]"], "the store has no runs of debian; it has none"),
        (["dataset=debian"], "dataset: no such key"),
    ],
)
def test_user_errors_are_one_line(command_line, tmp_path, monkeypatch, new_store, arguments, message):
    monkeypatch.chdir(tmp_path)
    new_store(tmp_path / "mlruns")
    status, lines = command_line(*arguments)
    assert status == 2
    errors = [line for line in lines if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert not any("Traceback" in line or "Error executing" in line for line in lines)


def test_no_store_is_made_by_a_report(command_line, tmp_path):
    status, lines = command_line(f"tracking.dir={tmp_path / 'typo'}")
    assert status == 2
    assert lines == [
        f"error: there is no store at {tmp_path / 'typo' / 'mlflow.db'}: run python -m edlae_sweeps first, or correct "
        "tracking.dir"
    ]
    assert not list((tmp_path / "typo").rglob("*.db"))


def test_command_line_reports_on_every_data_set(command_line, store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, lines = command_line(f"tracking.dir={store}")
    assert status == 0, lines


# The page in a frame as wide as a phone: what it and its parts measure.
FRAME = """<!DOCTYPE html><meta charset="utf-8"><iframe style="width: 400px; height: 900px" srcdoc="{page}"></iframe>
<script>
const frame = document.querySelector("iframe");
frame.onload = () => {{
  const page = frame.contentDocument, root = page.documentElement;
  const panels = [...page.querySelectorAll(".panels svg")].map(panel => panel.getBoundingClientRect());
  const narrow = panels.map(panel => panel.width).sort((a, b) => a - b)[1];
  const whole = page.querySelector(".whole").clientWidth;
  document.title = [root.scrollWidth - root.clientWidth, Math.round(narrow), panels.length, whole].join(" ");
}};
</script>"""


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
def test_on_a_phone_panels_are_stacked_and_the_page_does_not_scroll_sideways(made, tmp_path):
    (tmp_path / "frame.html").write_text(FRAME.format(page=html.escape(made.page.read_text())), encoding="utf-8")
    browser = subprocess.run(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom",
         f"--user-data-dir={tmp_path}", "--virtual-time-budget=5000", f"file://{tmp_path / 'frame.html'}"],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert "CONSOLE" not in browser.stderr
    measured = re.search(r"<title>(\d+) (\d+) (\d+) (\d+)</title>", browser.stdout)
    assert measured
    scroll, width, panels, whole = map(int, measured.groups())
    # Two figures of four panels, three of two or three, of which one has a legend beside them, the narrowest.
    assert (scroll, panels, whole) == (0, 16, 0)
    assert 300 < width <= 400
