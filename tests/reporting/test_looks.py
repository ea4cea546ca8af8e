"""The report and the plots take names, order and roles of methods from the registry alone."""

import ast
from dataclasses import replace
from pathlib import Path

import pytest

import edlae_sweeps
from edlae_sweeps.methods import METHODS, PUBLISHED_RIVAL, REFERENCE
from edlae_sweeps.reporting.collect import Collected, StoredCell
from edlae_sweeps.reporting.curves import series
from edlae_sweeps.reporting.looks import look, paper_methods, place
from edlae_sweeps.reporting.speedup import speed_up, speedup_table
from edlae_sweeps.tracking import StoredRun

PACKAGE = Path(edlae_sweeps.__file__).parent
# Also the name of an initialisation.
AMBIGUOUS = {"svd"}


def cell(method: str, rank: int | None, seconds: float = 1.0, **tags: str) -> StoredCell:
    metrics = {"train/squared_error": 1.0, "time/fit_seconds": seconds}
    tags = {"repeat": "1", "shared": "false", "cpu": "a", "blas": "b", "blas_threads": "1", **tags}
    return StoredCell(method, rank, StoredRun("id", {"dtype": "float32"}, metrics, tags, "name"))


def collected(*cells: StoredCell) -> Collected:
    return Collected(sorted(cells, key=lambda cell: cell.order), list(cells), [], {})


@pytest.mark.parametrize("room", ["plots", "reporting"])
def test_no_method_is_named_in_the_source(room: str):
    for path in (PACKAGE / room).glob("*.py"):
        constants = {node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)}
        assert not constants & (set(METHODS) - AMBIGUOUS), path.name


def test_registered_methods_keep_the_registry_order():
    assert sorted(METHODS, key=place) == list(METHODS)


def test_unknown_method_goes_by_its_name_and_comes_last():
    assert (look("new").label, dict(look("new").style), look("new").role) == ("new", {}, "compared")
    assert max([*METHODS, "new"], key=place) == "new"
    lines = series(collected(cell("new", 2), cell(REFERENCE, 2)), "train/squared_error", "compared")
    assert [line.label for line in lines] == [look(REFERENCE).label, "new"]


def test_roles_choose_the_lines():
    cells = collected(*(cell(method, 2) for method in METHODS))
    for roles in (("compared",), ("compared", "bound")):
        lines = series(cells, "train/squared_error", *roles)
        assert [line.label for line in lines] == [look(name).label for name in METHODS if look(name).role in roles]


def test_reference_and_rival_are_methods_of_the_paper():
    assert {REFERENCE, PUBLISHED_RIVAL} <= set(paper_methods())
    assert len(paper_methods()) == 4


def test_speed_up_has_the_reference_first_and_a_ratio_for_each_competitor():
    timed = collected(cell(PUBLISHED_RIVAL, 10, 3.0), cell("new", 10, 1.0), cell(REFERENCE, 10, 2.0))
    table = speedup_table(speed_up(timed).timings)
    reference, rival = look(REFERENCE).label, look(PUBLISHED_RIVAL).label
    assert table.header == (
        "rank", f"{reference} s", f"{rival} s", "new s", f"{rival} / {reference}", f"new / {reference}",
        f"paper: {rival} / {reference} s", "parameters",
    )  # fmt: skip
    assert table.rows == (
        ("10", "2.0 (2.0–2.0)", "3.0 (3.0–3.0)", "1.0 (1.0–1.0)", "1.50", "0.50", "519 / 171 = 3.04", "as given"),
    )


def test_speed_up_without_the_reference_has_no_ratios():
    (row,) = speedup_table(speed_up(collected(cell(PUBLISHED_RIVAL, 2))).timings).rows
    assert row == ("2", "1.0 (1.0–1.0)", "", "", "as given")


def test_excluded_timings_are_counted():
    usual = cell(REFERENCE, 2)
    other = replace(usual, run=replace(usual.run, params={"dtype": "float32", "l2": "3"}))
    speed = speed_up(
        collected(
            usual, usual, other,
            cell(REFERENCE, None), cell(REFERENCE, 2, shared="true"),
            cell(REFERENCE, 2, blas_threads="2"), cell(PUBLISHED_RIVAL, 2, ended="diverged"),
        )
    )  # fmt: skip
    assert speed.left_out == [
        "2 timed cells: shared factorisation or full rank",
        "1 timed cell: another machine or number of threads",
        "1 timed cell: diverged before the last epoch",
        f"1 timed cell: {REFERENCE} at rank 2 with other parameters",
    ]
    assert speed.machine == "a, b, 1 thread, float32"
    assert {key: len(timing.seconds) for key, timing in speed.timings.items()} == {(REFERENCE, 2): 2}
