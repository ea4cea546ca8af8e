"""The settings of a run as dataclasses with defaults, their checks, and the keys that identify results."""

# The names of metrics are settings too, and so the report has them from here.
from edlae_sweeps.evaluation import METRICS, Metric, is_metric
from edlae_sweeps.settings.commands import command, dataset_overrides, hydra_text, shell_line
from edlae_sweeps.settings.job import DType, GramKind, OnError, Settings, cache_dir, check_against_data
from edlae_sweeps.settings.keys import RESULTS_VERSION, run_key, study_key
from edlae_sweeps.settings.metrics import Evaluation, check_metrics
from edlae_sweeps.settings.parallel import PARALLELS, Alone, Dask, Parallel, Processes
from edlae_sweeps.settings.recorded import recorded_settings
from edlae_sweeps.settings.serving import FORMATS, RecommendSettings, Refit, RegisterSettings, table_format
from edlae_sweeps.settings.store import MergeSettings, ReportSettings, Tracking, password_error
from edlae_sweeps.settings.tune import TUNES, Objective, Off, Optuna, Range, Ranges, Sampler, Tune, search_space
from edlae_sweeps.settings.uris import (
    SECRETS,
    SOURCE,
    STORE,
    has_password,
    masked_uri,
    mentions_password,
    redacted,
    shell_uri,
)

__all__ = [
    "FORMATS",
    "METRICS",
    "PARALLELS",
    "RESULTS_VERSION",
    "SECRETS",
    "SOURCE",
    "STORE",
    "TUNES",
    "Alone",
    "DType",
    "Dask",
    "Evaluation",
    "GramKind",
    "MergeSettings",
    "Metric",
    "Objective",
    "Off",
    "OnError",
    "Optuna",
    "Parallel",
    "Processes",
    "Range",
    "Ranges",
    "RecommendSettings",
    "Refit",
    "RegisterSettings",
    "ReportSettings",
    "Sampler",
    "Settings",
    "Tracking",
    "Tune",
    "cache_dir",
    "check_against_data",
    "check_metrics",
    "command",
    "dataset_overrides",
    "has_password",
    "hydra_text",
    "is_metric",
    "masked_uri",
    "mentions_password",
    "password_error",
    "recorded_settings",
    "redacted",
    "run_key",
    "search_space",
    "shell_line",
    "shell_uri",
    "study_key",
    "table_format",
]
