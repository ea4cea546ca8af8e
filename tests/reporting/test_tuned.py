"""Tuned and untuned cells are told apart in tables and pictures."""

import pytest

from edlae_sweeps.reporting.collect import Collected, StoredCell
from edlae_sweeps.reporting.curves import series
from edlae_sweeps.reporting.tuned import alike, tuning, tuning_of_all, tuning_of_pair, tuning_of_row, warning
from edlae_sweeps.tracking import StoredRun


def cell(method: str, rank: int, evaluations: int | None) -> StoredCell:
    tuned = {} if evaluations is None else {"tune/evaluations": float(evaluations)}
    params = {"tune": "off" if evaluations is None else "optuna"}
    return StoredCell(method, rank, StoredRun("id", params, {"test/ndcg_100": 0.5, **tuned}, {}, "name"))


@pytest.mark.parametrize(
    ("evaluations", "words"), [(None, "as given"), (1, "tuned, 1 evaluation"), (20, "tuned, 20 evaluations")]
)
def test_a_cell_says_how_it_was_tuned(evaluations, words):
    assert tuning(cell("closed", 2, evaluations)) == words


def test_cells_without_the_parameter_are_as_given():
    run = StoredRun("id", {}, {}, {}, "name")
    assert tuning(StoredCell("closed", 2, run)) == "as given"


@pytest.mark.parametrize(
    ("ours", "theirs", "same", "words"),
    [
        (None, None, True, "as given"),
        (20, 20, True, "tuned, 20 evaluations"),
        (20, 6, True, "tuned, 20 and 6 evaluations"),
        (20, None, False, "tuned against untuned (closed: tuned, 20 evaluations; admm: as given)"),
        (None, 1, False, "tuned against untuned (closed: as given; admm: tuned, 1 evaluation)"),
    ],
)
def test_a_pair_says_whether_its_cells_were_tuned_alike(ours, theirs, same, words):
    pair = cell("closed", 2, ours), cell("admm", 2, theirs)
    assert (alike(*pair), tuning_of_pair(*pair)) == (same, words)


def test_cells_of_several_splits():
    assert tuning_of_all([cell("closed", 2, 20)] * 3) == "tuned, 20 evaluations"
    assert tuning_of_all([cell("closed", 2, 20), cell("closed", 2, None)]) == "tuned, 20 evaluations; as given"


@pytest.mark.parametrize(
    ("admm", "labels"),
    [
        ((20, 6), ["ADMM", "closed form"]),
        ((None, None), ["ADMM (as given)", "closed form (tuned)"]),
        ((20, None), ["ADMM (partly tuned)", "closed form (tuned)"]),
    ],
)
def test_lines_tell_which_are_tuned_where_some_are_not(admm, labels):
    cells = [cell("admm", 2, admm[0]), cell("admm", 5, admm[1]), cell("closed", 2, 20), cell("closed", 5, 20)]
    assert [line.label for line in series(Collected(cells, [], [], {}), "test/ndcg_100", "compared")] == labels


def test_a_row_says_how_its_cells_were_tuned():
    tuned, given = cell("closed", 2, 20), cell("admm", 2, None)
    assert tuning_of_row([tuned, None, cell("deql", 2, 20)]) == "tuned, 20 evaluations"
    assert tuning_of_row([tuned, given, tuned]) == "closed: tuned, 20 evaluations; admm: as given"
    assert tuning_of_row([None]) == ""


def test_only_ranks_that_were_not_tuned_alike_are_warned_of():
    alike_at_2 = [cell("closed", 2, 20), cell("admm", 2, 6)]
    assert warning(alike_at_2) == ""
    # A bound is compared with nothing.
    assert warning([cell("closed", 5, 20), cell("svd", 5, None)]) == ""
    text = warning([*alike_at_2, cell("admm", 5, None), cell("closed", 5, 20), cell("zero_diag", 5, None)])
    assert text.startswith("Warning: tuned against untuned. At rank 5, the cells were not tuned alike (")
    assert "(as given: admm, zero_diag; tuned: closed)" in text
