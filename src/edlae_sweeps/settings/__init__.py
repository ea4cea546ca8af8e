"""The whole specification of a run as plain dataclasses: the schema that the configuration is composed into."""

from edlae_sweeps.settings.keys import RESULTS_VERSION, run_key, study_key
from edlae_sweeps.settings.schema import DType, OnError, ReportSettings, Settings, Tracking, check_against_data
from edlae_sweeps.settings.tune import TUNES, Objective, Off, Optuna, Range, Sampler, Tune

__all__ = [
    "RESULTS_VERSION",
    "TUNES",
    "DType",
    "Objective",
    "Off",
    "OnError",
    "Optuna",
    "Range",
    "ReportSettings",
    "Sampler",
    "Settings",
    "Tracking",
    "Tune",
    "check_against_data",
    "run_key",
    "study_key",
]
