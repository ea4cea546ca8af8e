"""One job: check, load, search, fit, measure, write, log."""

from edlae_sweeps.jobs.result import Result
from edlae_sweeps.jobs.run import run_job

__all__ = ["Result", "run_job"]
