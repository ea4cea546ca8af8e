"""Runs in MLflow: the store, and the life of a run in it. The only importer of mlflow."""

import logging
import os

# Read by mlflow as it is imported: no usage data are sent unless the user asks for it.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
# A server that dies during a job costs seconds of retries, not mlflow's default of minutes; its results are on disk.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
# Progress is shown by console alone.
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

from edlae_sweeps.tracking.opening import database_uri, redacted
from edlae_sweeps.tracking.runs import DatasetRecord, Run
from edlae_sweeps.tracking.store import Experiment, Found, Store

# What goes wrong in the store is raised, and shown in one line.
logging.getLogger("mlflow").setLevel(logging.CRITICAL)
logging.getLogger("alembic").setLevel(logging.CRITICAL)

__all__ = ["DatasetRecord", "Experiment", "Found", "Run", "Store", "database_uri", "redacted"]
