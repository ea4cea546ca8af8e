import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from reference import split as reference_split

from edlae_sweeps.datasets import Interactions
from edlae_sweeps.datasets.base import part_digest
from edlae_sweeps.datasets.protocol import prepare
from edlae_sweeps.datasets.sources.debian import Debian
from edlae_sweeps.errors import DataError


def debian_settings(heldout: int, min_user: int, min_item: int, fraction: float, seed: int) -> Debian:
    return Debian(
        heldout_users=heldout,
        min_user_events=min_user,
        min_item_events=min_item,
        holdout_fraction=fraction,
        split_seed=seed,
    )


def interactions(rows: list[tuple]) -> Interactions:
    user_names, users = np.unique([row[0] for row in rows], return_inverse=True)
    item_names, items = np.unique([row[1] for row in rows], return_inverse=True)
    return Interactions(users, items, user_names, item_names)


def random_rows(seed: int, n_users: int, n_items: int, strings: bool) -> list[tuple]:
    """Unsorted unique pairs. Users have 1 to n_items items, so that some end up with fewer than 5."""
    random = np.random.default_rng(seed)
    pairs = [
        (u, i) for u in range(n_users) for i in random.permutation(n_items)[: random.integers(1, n_items + 1)].tolist()
    ]
    random.shuffle(pairs)
    return [(f"u{u}", f"é{i}") for u, i in pairs] if strings else [tuple(pair) for pair in pairs]


@given(
    seed=st.integers(0, 2**31),
    n_users=st.integers(20, 60),
    n_items=st.integers(3, 25),
    strings=st.booleans(),
    min_user=st.integers(0, 6),
    min_item=st.integers(0, 6),
    fraction=st.sampled_from([0.2, 0.5, 0.9]),
    split_seed=st.integers(0, 2**32 - 1),
)
def test_the_split_equals_that_of_the_published_procedure(
    seed, n_users, n_items, strings, min_user, min_item, fraction, split_seed
):
    rows = random_rows(seed, n_users, n_items, strings)
    settings = debian_settings(5, min_user, min_item, fraction, split_seed)
    parts, users, items = reference_split(rows, 5, min_user, min_item, fraction, split_seed)
    # Another test covers the errors.
    assume(len(users) > 10 and parts["validation_te"] and parts["test_te"])
    prepared = prepare(interactions(rows), settings)
    assert prepared.user_names.tolist() == users
    assert prepared.item_names.tolist() == items
    for name, (matrix, first_user) in prepared.parts().items():
        r, c = matrix.nonzero()
        pairs = {(prepared.user_names[i + first_user], prepared.item_names[j]) for i, j in zip(r, c, strict=True)}
        assert pairs == set(parts[name]), name
        assert matrix.nnz == len(parts[name])


def test_users_with_fewer_than_5_items_keep_all_as_fold_in_and_draw_nothing():
    # Even users have 4 shared items and 2 of their own. Held out, they keep only the 4 that training knows.
    mixed = []
    for seed in range(20):
        rows = [(u, i) for u in range(64) for i in (range(8) if u % 2 else [*range(4), 90 + u, 200 + u])]
        np.random.default_rng(seed).shuffle(rows)
        rows = [tuple(row) for row in rows]
        prepared = prepare(interactions(rows), debian_settings(12, 5, 0, 0.5, seed))
        parts, *_ = reference_split(rows, 12, 5, 0, 0.5, seed)
        for held_out, name in ((prepared.validation, "validation"), (prepared.test, "test")):
            assert held_out.targets.nnz == len(parts[f"{name}_te"])
            lengths = np.diff(held_out.targets.indptr)
            short = np.diff(held_out.fold_in.indptr) + lengths < 5
            assert not lengths[short].any()
            mixed.append(short.any() and not short.all())
    assert all(mixed)


def test_items_of_held_out_users_that_training_does_not_have_are_dropped():
    rows = [(u, i) for u in range(30) for i in [*range(6), 1000 + u]]
    prepared = prepare(interactions(rows), debian_settings(5, 5, 0, 0.2, 1))
    assert prepared.n_items == 6 + 20
    assert prepared.filtered_items == 6 + 30
    assert prepared.events == len(rows)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (debian_settings(5, 0, 1000, 0.2, 0), "min_item_events=1000.*no interactions"),
        (debian_settings(15, 0, 0, 0.2, 0), "heldout_users=15: 30 users are left"),
        (debian_settings(5, 0, 0, 0.01, 0), "holdout_fraction=0.01"),
    ],
)
def test_an_empty_split_is_an_error_that_names_the_setting(settings, message):
    with pytest.raises(DataError, match=message):
        prepare(interactions([(u, i) for u in range(30) for i in range(8)]), settings)


def test_the_debian_split_equals_the_golden_one_to_the_row(debian, golden):
    protocol = golden["protocol"]
    assert debian.events == protocol["events"]
    assert len(debian.user_names) == protocol["users"]
    assert debian.filtered_items == protocol["items"]
    assert debian.n_items == protocol["n_items"]
    assert debian.item_names[:5].tolist() == protocol["first_items"]
    for name, (matrix, first_user) in debian.parts().items():
        expected = protocol["splits"][name]
        rows = matrix.nonzero()[0] + first_user
        assert matrix.nnz == expected["rows"]
        assert (rows.min(), rows.max()) == (expected["uid_min"], expected["uid_max"])
        assert part_digest(matrix, first_user) == expected["sha256"]
