"""The jobs of a multirun, as files in its folder: their names, how each stands, and its results.

The jobs of some launchers run in other processes and on other machines. All they share with the parent is this folder,
so each job writes there what became of it, and the parent shows that.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from edlae_sweeps.disk import whole
from edlae_sweeps.process import has_ended, machine, process_tags

_PLAN = "jobs.json"
_JOB = "job.json"
_STOPPED = "stopped"

State = Literal["running", "finished", "failed", "crashed", "stopped", "skipped"]


@dataclass(frozen=True)
class JobFile:
    """How a job stands: job.json in its output folder.

    number, name  as in the list of jobs
    folder        its output folder
    process       tags of the process that runs it, or ran it
    state         running; finished; failed, by an error that the user can fix; crashed, by a bug; stopped, by a
                  signal; skipped: not started
    error         why it is not finished: a line, or the traceback of a bug
    printed       what it printed to standard output
    label         the data set of its results
    results       the fields of each Result
    """

    number: int
    name: str
    folder: Path
    process: Mapping[str, str] = field(default_factory=dict)
    state: State = "running"
    error: str = ""
    printed: str = ""
    label: str = ""
    results: Sequence[dict[str, Any]] = ()

    def update(self, state: State, **changes: Any) -> "JobFile":
        """The job in another state, written to its folder."""
        changed = replace(self, state=state, **changes)
        _write(self.folder / _JOB, json.dumps({**asdict(changed), "folder": str(self.folder)}, indent=2))
        return changed

    @property
    def title(self) -> str:
        """`3 (method=admm,rank=100)`."""
        return f"{self.number} ({self.name})" if self.name else str(self.number)

    @property
    def ended(self) -> bool:
        """Whether the job has ended, or its process on this machine is gone."""
        return self.state != "running" or (self.here and has_ended(self.process))

    @property
    def here(self) -> bool:
        """Whether its process is one of this machine."""
        return self.process.get("machine") == machine()


@dataclass(frozen=True)
class Multirun:
    """A multirun in its folder, `hydra.sweep.dir`.

    names     what the jobs vary, by number; empty if the sweeper decides as it goes
    at_once   how many jobs run at the same time on the parent's machine
    threads   threads of each job by default, where several do
    memory    GiB of each job by default, likewise
    submitit  the folder in which submitit keeps a folder for each Slurm job
    """

    folder: Path
    launcher: str
    names: Sequence[str] = ()
    at_once: int = 1
    threads: int | None = None
    memory: float | None = None
    submitit: str | None = None

    @classmethod
    def read(cls, folder: Path) -> "Multirun":
        """The multirun whose parent has started in `folder`."""
        content = json.loads((folder / _PLAN).read_text(encoding="utf-8"))
        return cls(folder, **content)

    def write(self) -> None:
        """Write the list of jobs, for the jobs."""
        self.folder.mkdir(parents=True, exist_ok=True)
        content = asdict(self)
        del content["folder"]
        _write(self.folder / _PLAN, json.dumps(content, indent=2))

    def job(self, number: int, folder: Path) -> JobFile:
        """A job of this multirun that runs in this process."""
        name = self.names[number] if number < len(self.names) else ""
        return JobFile(number, name, folder, process_tags())

    def started(self) -> list[JobFile]:
        """The jobs that have started or were skipped, by number."""
        jobs = {}
        for path in self.folder.rglob(_JOB):
            # A shared file system may show a file that is just being replaced.
            with suppress(OSError, json.JSONDecodeError):
                content = json.loads(path.read_text(encoding="utf-8"))
                jobs[content["number"]] = JobFile(
                    **{**content, "folder": path.parent, "results": tuple(content["results"])}
                )
        return [jobs[number] for number in sorted(jobs)]

    def missing(self) -> list[JobFile]:
        """The jobs that have left nothing, not even a start."""
        numbers = {job.number for job in self.started()}
        return [JobFile(number, name, self.folder) for number, name in enumerate(self.names) if number not in numbers]

    def stop(self) -> None:
        """Let no further job start."""
        (self.folder / _STOPPED).touch()

    @property
    def stopped(self) -> bool:
        """Whether no further job may start."""
        return (self.folder / _STOPPED).exists()


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    with whole(path) as written:
        written.write_text(text + "\n", encoding="utf-8")
