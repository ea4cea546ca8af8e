"""Memory that runs out amid a job: one line, and no run that stays open."""

from pathlib import Path

import mlflow
import pytest

from edlae_sweeps.datasets import store
from edlae_sweeps.errors import HostMemoryError
from edlae_sweeps.methods import Closed


def full(*_: object, **__: object) -> None:
    raise MemoryError("Unable to allocate 6.71 GiB for an array")


def statuses(folder: Path) -> list[str]:
    """How each run of the store ended."""
    client = mlflow.MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return sorted(run.info.status for run in client.search_runs(experiments))


STEPS = (
    (store, "prepare", r"^dataset=synthetic: can't prepare the data: out of memory \(unable to"),
    (store, "dense_gram", r"^can't make the Gram matrix of \d+ items: out of memory .*min_item_events"),
    (Closed, "_fit", r"^method=closed, rank=\[5, 10\] on synthetic: out of memory .*a smaller rank"),
)


def test_a_job_without_memory_ends_in_one_line_and_can_be_repeated(run, tmp_path: Path, monkeypatch):
    for owner, step, message in STEPS:
        with monkeypatch.context() as patch:
            patch.setattr(owner, step, full)
            with pytest.raises(HostMemoryError, match=message) as caught:
                run(Closed())
        assert "\n" not in str(caught.value)
    assert len(run(Closed())) == 2
    # The first ended before it had a run; the last has two cells and their parent.
    assert statuses(tmp_path / "mlruns") == ["FAILED"] * 2 + ["FINISHED"] * 3
