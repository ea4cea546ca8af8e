"""A run of another store, copied whole: its times, status, parameters, metrics by step, tags, data, files, models."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mlflow import MlflowClient
from mlflow.entities import Param, RunTag
from mlflow.entities import Run as MlflowRun

from edlae_sweeps.errors import DataError, TrackingError
from edlae_sweeps.process import process_tags
from edlae_sweeps.tracking.datasets import DatasetRecord
from edlae_sweeps.tracking.experiment import Experiment
from edlae_sweeps.tracking.opening import one_line_errors, unconflicted
from edlae_sweeps.tracking.source import KeptModel, Source
from edlae_sweeps.tracking.stops import stops_deferred
from edlae_sweeps.tracking.watch import PARENT, SOURCE, pages

# Tag of a copy: the id of the run that was first copied, however many stores ago.
_FROM = "merged.from"
# Metrics that the Models page compares.
_COMPARED = ("test/", "validation/")

# Client, run id, folder, name, parameters, metrics to link, data set → id of the logged model.
LogModel = Callable[[MlflowClient, str, Path, str, Mapping[str, object], Mapping[str, float], DatasetRecord], str]
Outcome = Literal["copied", "present", "left out"]


@dataclass(frozen=True)
class SourceRun:
    """A run to copy, with the status that its copy gets, and its end in milliseconds."""

    run: MlflowRun
    status: str
    end: int

    @property
    def id(self) -> str:
        """The run id in the source."""
        return str(self.run.info.run_id)

    @property
    def kind(self) -> str:
        """Job, cell or evaluation."""
        return str(self.run.data.tags["kind"])

    @property
    def origin(self) -> str:
        """The id of the run that was first copied; its own unless it is a copy."""
        return _origin(self.run)


class Copier:
    """Copies runs from `source` to an experiment of another store, each once; parents go before their children."""

    def __init__(self, source: Source, target: Experiment, log_model: LogModel) -> None:
        self._source, self._target, self._log_model = source, target, log_model
        self._client = target.client
        with one_line_errors(target.uri):
            present = pages(self._client, [target.id], "")
        # Of several runs with one origin the first counts, or else a finished copy.
        present.sort(key=lambda run: (run.info.run_id == _origin(run), run.info.status == "FINISHED"))
        self._present = {_origin(run): run for run in present}
        # Run id in the source → in the target, and the same for the run that was first copied.
        self._ids: dict[str, str] = {}
        self._copied: dict[str, str] = {}

    def copy(self, run: SourceRun) -> Outcome:
        """Copy a run unless the target has it; leave it out if its artifacts are gone."""
        present = self._present.get(run.origin)
        if present is not None and _is_whole(present, run):
            self._copied[run.origin] = present.info.run_id
        if run.origin in self._copied:
            self._ids[run.id] = self._copied[run.origin]
            return "present"
        with tempfile.TemporaryDirectory() as folder:
            downloads = Path(folder)
            try:
                files = self._source.artifacts(run.run, self._target.dataset.name, downloads)
                models = self._source.models(run.run, self._target.dataset.name, downloads)
            except DataError:
                return "left out"
            if files is None and run.kind == "cell":
                return "left out"
            with one_line_errors(self._target.uri):
                self._ids[run.id] = self._copied[run.origin] = self._write(run, present, files, models)
        return "copied"

    def _write(self, run: SourceRun, half: MlflowRun | None, files: Path | None, models: Sequence[KeptModel]) -> str:
        """Write a run and return its id. Its status comes last: until then it does not count."""
        copy_id = None
        try:
            with stops_deferred():
                copy_id = self._begin(run, half)
            if files is not None:
                self._client.log_artifacts(copy_id, str(files))
            self._log(run, copy_id, models)
            self._client.set_terminated(copy_id, run.status, run.end)
        except BaseException:
            if copy_id is not None:
                with suppress(TrackingError), one_line_errors(self._target.uri), stops_deferred():
                    self._client.set_terminated(copy_id, "KILLED")
            raise
        return copy_id

    def _begin(self, run: SourceRun, half: MlflowRun | None) -> str:
        """The id of the copy. Until it is complete, its tags name this process: it is closed if this one is killed."""
        if half is not None and run.kind == "job":
            # Its children may be there already.
            return str(half.info.run_id)
        if half is not None:
            self._client.delete_run(half.info.run_id)
        info, tags = run.run.info, run.run.data.tags
        own = {name: value for name, value in {"mlflow.source.name": SOURCE, **process_tags()}.items() if name in tags}
        made = self._client.create_run(self._target.id, info.start_time, {**own, _FROM: run.origin}, info.run_name)
        return str(made.info.run_id)

    def _log(self, run: SourceRun, copy_id: str, models: Sequence[KeptModel]) -> None:
        data, metrics = run.run.data, self._source.metrics(run.run)
        inputs = run.run.inputs.dataset_inputs if run.run.inputs else []
        if inputs:
            unconflicted(lambda: self._client.log_inputs(copy_id, inputs))
        if models:
            # They are linked to the metrics of the run.
            self._client.log_batch(copy_id, metrics)
            metrics = []
        compared = {name: value for name, value in data.metrics.items() if name.startswith(_COMPARED)}
        for kept in models:
            model, dataset = kept.entity, self._target.dataset
            self._log_model(self._client, copy_id, kept.folder, model.name, model.params, compared, dataset)
        tags = {**data.tags, _FROM: run.origin}
        if parent := self._ids.get(tags.get(PARENT, "")):
            tags[PARENT] = parent
        params = [Param(name, value) for name, value in data.params.items()]
        self._client.log_batch(copy_id, metrics, params, [RunTag(name, value) for name, value in tags.items()])


def _origin(run: MlflowRun) -> str:
    return str(run.data.tags.get(_FROM, run.info.run_id))


def _is_whole(present: MlflowRun, run: SourceRun) -> bool:
    """Whether the target has a run, complete and as new as in the source.

    A job that was killed, or was running when it was copied, may have gone on since: then the later end counts.
    """
    if present.info.run_id == run.origin or present.info.status == "FINISHED":
        return True
    ended = present.info.status != "RUNNING" and "kind" in present.data.tags
    return ended and run.status != "FINISHED" and present.info.end_time >= run.end
