import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array, random_array

from edlae_sweeps.datasets import HeldOut
from edlae_sweeps.errors import SolverError
from edlae_sweeps.evaluation import METRICS, Popularity, evaluate, evaluate_nested
from edlae_sweeps.models import LowRank, best
from edlae_sweeps.resources import Resources

ONE = Resources(threads=1, memory=2**33)


def problem(seed: int, users: int, items: int, rank: int, levels: int) -> tuple[LowRank, HeldOut]:
    """Factors of whole numbers, whose products are exact and full of ties."""
    random = np.random.default_rng(seed)
    U, V = (random.integers(-levels, levels + 1, (items, rank)).astype(np.float32) for _ in range(2))
    draw = random.random((users, items))
    fold_in, targets = csr_array((draw < 0.3).astype(np.float32)), csr_array((draw > 0.7).astype(np.float32))
    return LowRank(U, V), HeldOut(fold_in, targets, first_user=0)


def values(per_user) -> np.ndarray:
    return np.column_stack([per_user.users, *(per_user.values[name] for name in METRICS)])


@given(
    seed=st.integers(0, 2**31),
    items=st.integers(3, 260),
    width=st.sampled_from([1, 7, 64, 130]),
    levels=st.sampled_from([0, 1, 1000]),
)
def test_blocks_of_items_change_no_metric(seed, items, width, levels):
    model, held_out = problem(seed, 12, items, 4, levels)
    if not held_out.targets.nnz:
        return
    popularity = Popularity(np.random.default_rng(seed).integers(0, 5, items).astype(float))
    expected = [values(evaluate(scorer, held_out, resources=ONE)) for scorer in (model, popularity)]
    nested = evaluate_nested(model, [1, 3, 4], held_out, resources=ONE)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("WIDE", 2), ("BLOCK", width), ("FEW", 0)):
            patch.setattr(best, name, value)
        for scorer, metrics in zip((model, popularity), expected, strict=True):
            np.testing.assert_array_equal(values(evaluate(scorer, held_out, resources=ONE)), metrics)
        for rank, per_user in evaluate_nested(model, [1, 3, 4], held_out, resources=ONE).items():
            np.testing.assert_array_equal(values(per_user), values(nested[rank]))


def test_memory_is_bounded_for_many_items():
    items, users = 300_000, 400
    fold_in, targets = (
        random_array((users, items), density=20 / items, format="csr", dtype=np.float32, rng=seed) for seed in (0, 1)
    )
    held_out = HeldOut(csr_array(fold_in), csr_array(targets), first_user=0)
    random = np.random.default_rng(2)
    U, V = (random.standard_normal((items, 2), dtype=np.float32) for _ in range(2))
    # All scores would take 480 MB.
    assert users * items * 4 > 400e6
    tracemalloc.start()
    evaluate(LowRank(U, V), held_out, resources=ONE)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 300e6


@pytest.mark.parametrize("factor", ["U", "V"])
def test_a_model_that_is_not_finite_is_refused(monkeypatch, factor):
    monkeypatch.setattr(best, "WIDE", 2)
    model, held_out = problem(0, 5, 30, 2, 3)
    getattr(model, factor)[:] = np.nan
    with pytest.raises(SolverError, match="not finite"):
        evaluate(model, held_out, resources=ONE)
