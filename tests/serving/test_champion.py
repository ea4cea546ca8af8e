"""Whether a model beats the champion, by paired differences."""

from dataclasses import replace

import numpy as np
import pytest

from edlae_sweeps.serving.champion import compare


def per_user(values, users=None) -> dict:
    values = np.asarray(values, float)
    return {"users": np.arange(len(values)) if users is None else np.asarray(users), "ndcg_100": values}


def test_the_difference_is_paired():
    champion = np.random.default_rng(0).random(400)
    result = compare(per_user(champion + 0.001), per_user(champion))
    assert (result.difference, result.users) == (pytest.approx(0.001), 400)
    assert result.error < 1e-9
    assert result.beats


@pytest.mark.parametrize(("shift", "beats"), [(0.5, True), (0.05, False), (-0.5, False)])
def test_a_difference_counts_from_two_standard_errors(shift, beats):
    noise = np.random.default_rng(1).normal(size=400)
    noise -= noise.mean()
    result = compare(per_user(noise + shift), per_user(np.zeros(400)))
    assert result.error == pytest.approx(noise.std() / 20)
    assert result.beats is beats
    assert str(result).startswith(f"{shift:+.4f} ± ")


def test_equal_models_do_not_replace_each_other():
    result = compare(per_user([0.1, 0.2]), per_user([0.1, 0.2]))
    assert not result.beats
    assert str(result) == "+0.0000 ± 0.0000 nDCG@100 on the same 2 test users"


def test_a_difference_that_rounds_to_zero_has_no_sign_of_its_own():
    result = compare(per_user([0.1, 0.2]), per_user([0.1, 0.20001]))
    assert str(result).startswith("+0.0000 ± 0.0000 ")
    assert "-0.0" not in str(replace(result, error=1.0))


@pytest.mark.parametrize("users", [[0, 2], [1, 0]])
def test_other_users_cannot_be_compared(users):
    assert compare(per_user([0.1, 0.2]), per_user([0.1, 0.2], users)) is None
