"""A job that waits for Dask's workers says what it waits for."""

from types import SimpleNamespace

import pytest

from edlae_sweeps.workers.cluster import DaskEngine


@pytest.mark.parametrize(
    ("services", "end"), [({"dashboard": 8787}, " (dashboard: http://host:8787/status)"), ({}, "")]
)
def test_the_line_names_the_command_and_the_page(caplog, services, end):
    engine = DaskEngine.__new__(DaskEngine)
    engine._client = SimpleNamespace(
        nthreads=dict, wait_for_workers=lambda _: None, run=lambda _: {"worker": (2, None)},
        scheduler_info=lambda: {"services": services}, dashboard_link="http://host:8787/status",
    )  # fmt: skip
    assert engine._about("tcp://host:8786") == [(2, None)]
    assert caplog.messages == [
        "parallel.scheduler=tcp://host:8786: waiting for a first worker; start one with dask worker tcp://host:8786"
        + end
    ]
