"""DEQL and DAN on the shipped data, float32, against golden figures of independent code."""

import json
from pathlib import Path

import pytest
from cases import ALL_CORES
from test_golden import check

from edlae_sweeps.datasets import TrainingData
from edlae_sweeps.methods import Dan, Deql, largest_rank

ROWS = json.loads((Path(__file__).parents[1] / "golden" / "debian-more.json").read_text())["results"]
# Each with the ranks of its golden rows, which share a state.
METHODS = {
    "deql": (Deql(l2=10, dropout=0.1, rho=0.769230769231), ["full", 10, 100, 500]),
    "dan, cut B": (Dan(l2=10, dropout=0.1, alpha=0.2, beta=0.2), ["full", 10, 100, 500]),
    "dan, cut W": (Dan(l2=10, dropout=0.1, alpha=0.2, beta=0.2, cut="W"), [10, 100, 500]),
    "dan, ridge": (Dan(l2=10, dropout=0.1, alpha=0.2, beta=0.2, member="ridge"), ["full"]),
}


def rows_of(method) -> list[dict]:
    """The golden rows of a method; those of DEQL for another low-rank variant are left out."""
    if method.name == "deql":
        return [row for row in ROWS if row["method"] == "deql" and row.get("beta", "zero") == "zero"]
    rows = [row for row in ROWS if row["method"] == "dan" and row["variant"] == method.member]
    return [row for row in rows if row.get("cut", "B") == method.cut]


@pytest.mark.slow
@pytest.mark.parametrize(("method", "ranks"), METHODS.values(), ids=METHODS)
def test_golden_rows(method, ranks, debian, debian_gram):
    rows = rows_of(method)
    assert [row["rank"] for row in rows] == ranks
    data = TrainingData(debian.train, gram=lambda: debian_gram)
    state = method.prepare(data, largest_rank(ranks), ALL_CORES)
    for row in rows:
        options = {"l2": row["l2"], "dropout": row.get("dropout", 0.1)}
        options |= {"rho": row["rho"]} if "rho" in row else {"alpha": row["alpha"], "beta": row["beta_user"]}
        assert {name: getattr(method, name) for name in options} == options
        model = method.fit(state, row["rank"])
        check(row, model, state, debian)
        if "objective_deql" in row:
            objective = state.training_metrics(model)["deql_objective"]
            assert objective == pytest.approx(row["objective_deql"], rel=1e-4)
