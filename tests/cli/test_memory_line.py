"""Memory that runs out outside of a job, as in a recommendation."""

import numpy as np
import pytest

from edlae_sweeps.cli.compose import conf_dir
from edlae_sweeps.cli.errors import user_message


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (MemoryError(), "out of memory; free"),
        (np._core._exceptions._ArrayMemoryError((30_000,), np.dtype("<U60000")), "out of memory: Unable to allocate 6"),
    ],
)
def test_memory_that_runs_out_is_one_line(error, told):
    message = user_message(error, conf_dir())
    assert message is not None
    assert message.startswith(told)
    assert "\n" not in message
