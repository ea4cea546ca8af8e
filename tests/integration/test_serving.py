"""From a run to a recommendation over HTTP: log, register, load elsewhere, serve, and ask.

On the shipped data set and on a table of one's own, whose names hold every character that a format could trip over.
"""

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest
import requests

from edlae_sweeps.datasets import HeldOut
from edlae_sweeps.evaluation.metrics import DEPTH, ndcg
from edlae_sweeps.serving import load_model

from .conftest import COMMAND, all_runs, client, default_signals, free_port, mlflow_server, wait_until

ODD = [
    "it's", 'say "hi"', "a,b;c", "naïve Ωmega 日本", "<b>bold</b> & more", " space ",
    "new\nline", "=1+1", "back\\slash", "tab\there", "{json: []}", "%41",
]  # fmt: skip
OWN = ["dataset=interactions", "dataset.path=own.csv", "dataset.heldout_users=20", "rank=[3,full]", "save_model=true"]
DEBIAN = ["rank=20", "save_model=true"]
# Prints what a model recommends, in a process that has nothing of the tests.
ELSEWHERE = """
import json, sys
from edlae_sweeps.serving import load_model
request = json.load(sys.stdin)
recommended = load_model(sys.argv[1], sys.argv[2]).recommend(request["items"], request.get("user"), k=5, explain=True)
print(json.dumps([r._asdict() for r in recommended]))
"""


def run(*command: object, folder: Path, text: str | None = None) -> str:
    done = subprocess.run(list(map(str, command)), cwd=folder, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, debian) -> Path:  # noqa: ARG001 - prepared once
    """A store with kept models of debian and of a table with odd names, of which one is registered."""
    folder = tmp_path_factory.mktemp("serving")
    random = np.random.default_rng(0)
    with (folder / "own.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["user", "item"])
        for user in range(120):
            # Users of one half like the first items, users of the other the last.
            liked = random.permutation(6)[:5] + 6 * (user % 2)
            writer.writerows((f"user, {user} é", ODD[item]) for item in liked)
    run(*COMMAND, *OWN, folder=folder)
    run(*COMMAND, *DEBIAN, folder=folder)
    run(sys.executable, "-m", "edlae_sweeps.register", "datasets=[own]", folder=folder)
    return folder


@contextmanager
def served(model: str, folder: Path, store: str) -> Iterator[str]:
    """The documented command: MLflow's own server for a model; yields the URL that answers."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "models", "serve", "-m", model, "--env-manager", "local",
         "--host", "127.0.0.1", "-p", str(port)],
        cwd=folder,
        # The server starts another program of this environment.
        env={**os.environ, "MLFLOW_TRACKING_URI": store, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=default_signals,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        assert process.poll() is None, "the server ended"
        with suppress(requests.ConnectionError):
            return requests.get(f"{url}/ping", timeout=10).ok
        return False

    try:
        wait_until(answers, 180)
        yield f"{url}/invocations"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def ask(url: str, rows: list[dict], **params: object) -> list[dict]:
    answer = requests.post(url, json={"dataframe_records": rows, "params": params}, timeout=60)
    assert answer.ok, answer.text
    return answer.json()["predictions"]


def uri_of(folder: Path) -> str:
    return f"sqlite:///{folder / 'mlruns' / 'mlflow.db'}"


def test_a_registered_model_recommends_elsewhere_and_over_http(folder, tmp_path):
    model, store = "models:/own@champion", uri_of(folder)
    here = load_model(model, store)
    basket = [ODD[0], ODD[4], "unknown, <i>é</i>"]
    expected = here.recommend(basket, k=5, explain=True)
    assert {r.item for r in expected[:3]} < set(ODD[:6])
    assert expected[0].note == "unknown items, ignored: unknown, <i>é</i>"
    # A new process, in a folder without the project.
    printed = run(sys.executable, "-c", ELSEWHERE, model, store, folder=tmp_path, text=json.dumps({"items": basket}))
    assert json.loads(printed) == json.loads(json.dumps([r._asdict() for r in expected]))
    with served(model, tmp_path, store) as url:
        answer = ask(url, [{"items": basket}], k=5, explain=True)
        assert [(r["item"], r["rank"], r["note"]) for r in answer] == [(r.item, r.rank, r.note) for r in expected]
        assert [r["score"] for r in answer] == pytest.approx([r.score for r in expected])
        reasons = [[(r["item"], pytest.approx(r["contribution"])) for r in line["because"]] for line in answer]
        assert reasons == [list(r.because) for r in expected]
        # Every name comes back as it was.
        everything = ask(url, [{"items": [ODD[0]]}], k=20, exclude_known=False)
        assert {r["item"] for r in everything} == set(ODD)
        user = "user, 0 é"
        by_user = ask(url, [{"items": [], "user": user}, {"items": [], "user": None}, {"items": [ODD[7]]}], k=3)
        assert [r["item"] for r in by_user if r["row"] == 0] == [r.item for r in here.recommend(user=user, k=3)]
        assert [r["item"] for r in by_user if r["row"] == 1] == [name for name, _ in here.model.popular(3)]
        assert [r["item"] for r in by_user if r["row"] == 2] == [r.item for r in here.recommend([ODD[7]], k=3)]
        assert ask(url, [{"user": user}], k=1)[0]["item"] == here.recommend(user=user, k=1)[0].item
        refused = requests.post(url, json={"dataframe_records": [{"items": [ODD[0]]}], "params": {"k": 0}}, timeout=60)
        assert refused.status_code == 400
        assert "k=0: choose a whole number from 1" in refused.json()["message"]


def test_the_shipped_data_set_recommends_elsewhere_and_over_http(folder, tmp_path):
    (cell,) = [run for run in all_runs(folder) if run.data.params["dataset"] == "debian"]
    model = f"models:/{cell.outputs.model_outputs[0].model_id}"
    expected = load_model(cell.info.run_id, uri_of(folder)).recommend(["cmake", "debhelper"], k=5, explain=True)
    request = json.dumps({"items": ["cmake", "debhelper"]})
    printed = run(sys.executable, "-c", ELSEWHERE, model, uri_of(folder), folder=tmp_path, text=request)
    assert json.loads(printed) == json.loads(json.dumps([r._asdict() for r in expected]))
    with served(model, tmp_path, uri_of(folder)) as url:
        answer = ask(url, [{"items": ["cmake", "debhelper"]}], k=5)
        assert [r["item"] for r in answer] == [r.item for r in expected]


def served_ndcg(answer: pd.DataFrame, held_out: HeldOut, columns: dict) -> np.ndarray:
    """nDCG@100 of each user with targets from the table that a model served."""
    wanted = np.diff(held_out.targets.indptr)
    hits = np.zeros((len(wanted), DEPTH), dtype=bool)
    targets = held_out.targets.toarray().astype(bool)
    items = answer["item"].map(columns).to_numpy()
    hits[answer["row"], answer["rank"] - 1] = targets[answer["row"], items]
    best = np.arange(DEPTH) < wanted[:, None]
    return ndcg(hits[wanted > 0], best[wanted > 0], DEPTH)


@pytest.mark.parametrize("by", ["items", "user"])
def test_the_served_model_is_the_evaluated_model(folder, debian, by):
    """The test users ranked through MLflow's interface have the logged accuracy, to the last digit."""
    (cell,) = [run for run in all_runs(folder) if run.data.params["dataset"] == "debian"]
    location = client(folder).get_logged_model(cell.outputs.model_outputs[0].model_id).artifact_location
    model = mlflow.pyfunc.load_model(location)
    test = debian.test
    if by == "items":
        baskets = [debian.item_names[test.fold_in[[row]].indices].tolist() for row in range(test.fold_in.shape[0])]
        frame = pd.DataFrame({"items": baskets})
    else:
        frame = pd.DataFrame({"user": debian.user_names[test.first_user :][: test.fold_in.shape[0]].tolist()})
    answer = model.predict(frame, params={"k": DEPTH, "exclude_known": True})
    columns = {name: column for column, name in enumerate(debian.item_names.tolist())}
    assert served_ndcg(answer, test, columns).mean() == pytest.approx(cell.data.metrics["test/ndcg_100"], rel=1e-12)


def test_a_server_keeps_and_loads_the_model(tmp_path):
    """With a tracking server, artifacts go through it, and come back from it."""
    (tmp_path / "mlruns").mkdir()
    (tmp_path / "job").mkdir()
    with mlflow_server(tmp_path) as (_, uri):
        synthetic = ["dataset=synthetic", "dataset.n_users=300", "dataset.n_items=40", "dataset.heldout_users=50"]
        run(*COMMAND, *synthetic, "rank=3", "save_model=true", f"tracking.uri={uri}", folder=tmp_path / "job")
        (output,) = (tmp_path / "job").rglob("model/MLmodel")
        kept = load_model(output.parent)
        (cell,) = all_runs(tmp_path)
        loaded = load_model(cell.info.run_id, uri)
        basket = kept.model.item_names[:2].tolist()
        assert loaded.recommend(basket, k=5, explain=True) == kept.recommend(basket, k=5, explain=True)
        assert loaded.users.names.tolist() == kept.users.names.tolist()
