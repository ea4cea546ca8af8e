"""A state belongs to the λ and p that it was prepared with."""

from dataclasses import replace

import pytest
from cases import LINEAR_CASES, PLENTY, topics, training

from edlae_sweeps.errors import ConfigError
from edlae_sweeps.methods.shared import Penalised

PENALISED = [method for method in LINEAR_CASES if isinstance(method, Penalised)]


@pytest.mark.parametrize("method", PENALISED, ids=repr)
def test_fit_refuses_a_state_of_another_penalty(method):
    state = method.prepare(training(topics(60, 12)), 5, PLENTY)
    assert method.fit(state, 5).factors()[0].shape == (12, 5)
    for name, value in (("l2", 6.0), ("dropout", 0.3)):
        with pytest.raises(ConfigError, match=rf"method\.{name}={value:g}.*prepared with another λ or p"):
            replace(method, **{name: value}).fit(state, 5)
