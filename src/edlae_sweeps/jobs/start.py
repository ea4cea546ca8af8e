"""What the settings leave to the data: the held-out users, and λ."""

import logging
from dataclasses import replace
from typing import Any

from edlae_sweeps.datasets import Prepared, TrainingData
from edlae_sweeps.settings import Optuna, Settings

_log = logging.getLogger(__name__)
# Digests of the data whose held-out users this process has told: the jobs of a multirun share them.
_told: set[str] = set()


def settle_start(settings: Settings, data: Prepared, training: TrainingData) -> Settings:
    """Settings whose method has all options, those from the data too; one line for each choice says what was taken.

    All else sees the numbers alone: a cell has the same key, whether they were taken from the data or named.
    """
    if settings.dataset.heldout_users is None and data.digest not in _told:
        _told.add(data.digest)
        held = len(data.user_names) - data.test.first_user
        _log.info("dataset.heldout_users=%d was taken from the data (a tenth of the users, at most 10,000)", held)
    method = settings.method.scaled(training)
    if method is settings.method:
        return settings
    l2: Any = getattr(method, "l2", None)
    tuned = isinstance(settings.tune, Optuna) and "l2" in settings.space()
    then = "the search starts there" if tuned else "tune=optuna searches for a better one"
    _log.info("method.l2=%g was taken from the data (the mean of the diagonal that it is added to); %s", l2, then)
    return replace(settings, method=method)
