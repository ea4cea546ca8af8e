"""Runs in MLflow: the store and the life of a run. With `serving`, the only importer of mlflow."""

import logging
import os

# mlflow reads these when it is imported. No usage data are sent unless the user asks for it.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
# Retry for seconds, not minutes, when a server dies during a job: the results are on disk.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
# Only our console shows progress and links.
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")

from edlae_sweeps.tracking.datasets import DatasetRecord
from edlae_sweeps.tracking.experiment import Experiment
from edlae_sweeps.tracking.foreign import warn_of
from edlae_sweeps.tracking.lease import Busy, Lease
from edlae_sweeps.tracking.opening import database_uri
from edlae_sweeps.tracking.origin import origin_tags
from edlae_sweeps.tracking.runs import Run
from edlae_sweeps.tracking.store import Store
from edlae_sweeps.tracking.stored import StoredRun

# Errors of the store are raised and shown in one line.
logging.getLogger("mlflow").setLevel(logging.CRITICAL)
logging.getLogger("alembic").setLevel(logging.CRITICAL)

__all__ = [
    "Busy",
    "DatasetRecord",
    "Experiment",
    "Lease",
    "Run",
    "Store",
    "StoredRun",
    "database_uri",
    "origin_tags",
    "warn_of",
]
