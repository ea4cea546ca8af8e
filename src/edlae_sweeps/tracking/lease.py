"""Leases: of several commands with the same work, one computes and the others wait for it.

A lease is a tag of a RUNNING run, so it ends when the run does, or is closed because its process is gone. MLflow can't
compare and set. So a run first *claims* its work, for all to see, and then looks: it withdraws if another one holds the
work, or claims it with a smaller id. Otherwise it waits until all other claims are withdrawn, and holds. Of two runs,
the one that claims second sees the claim of the first; so both never hold.
"""

import logging
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mlflow import MlflowClient
from mlflow.entities import Run as MlflowRun

from edlae_sweeps.tracking.watch import Watch, close, running

STATE = "lease"
KEYS = "lease.keys"
CLAIMED, HELD = "claimed", "held"
# Characters of each key: enough that two are never the same by chance.
_KEY_LENGTH = 16
# Characters of the tag, MLflow's limit: what is cut off, past 290 keys, is not protected.
_MOST_CHARACTERS = 5000
_log = logging.getLogger(__name__)


class Busy(Exception):  # noqa: N818 - it is no error
    """Another run does some of the same work, or has just done it: wait for it, and look for its results."""


@dataclass(frozen=True)
class Lease:
    """Work that only one run should do at a time.

    keys       names of its parts: two runs with a key in common have work in common
    unchanged  whether the store still holds what it held when the work was planned; asked once the lease is held
    """

    keys: Sequence[str]
    unchanged: Callable[[], bool]

    def tags(self) -> dict[str, str]:
        """The tags of a run that claims the work."""
        return {STATE: CLAIMED, KEYS: ",".join(key[:_KEY_LENGTH] for key in self.keys)[:_MOST_CHARACTERS]}


def hold(client: MlflowClient, uri: str, experiment: str, run_id: str, lease: Lease) -> None:
    """Turn the claim of a RUNNING run into a lease. Raises Busy if the run has to be withdrawn."""
    watch = Watch(uri)
    while others := _others(client, experiment, lease.keys, watch, run_id):
        if any(other.data.tags[STATE] == HELD or other.info.run_id < run_id for other in others):
            raise Busy
        time.sleep(random.uniform(0.1, 0.3))  # noqa: S311
    client.set_tag(run_id, STATE, HELD)
    if not lease.unchanged():
        raise Busy


def wait(client: MlflowClient, uri: str, experiment: str, keys: Sequence[str]) -> bool:
    """Wait until no run has a lease on any of the keys; whether there was one."""
    watch, waited, told = Watch(uri), False, ""
    while others := _others(client, experiment, keys, watch):
        waited = True
        holder = next((other for other in others if other.data.tags[STATE] == HELD), None)
        if holder is not None and holder.info.run_id != told:
            told, tags = holder.info.run_id, holder.data.tags
            _log.info(
                "waiting for run %s on host %s, process %s, which does the same work; Ctrl-C ends this wait alone",
                told, tags.get("host"), tags.get("pid"),
            )  # fmt: skip
        time.sleep(random.uniform(1, 2))  # noqa: S311
    return waited


def _others(client: MlflowClient, experiment: str, keys: Sequence[str], watch: Watch, own: str = "") -> list[MlflowRun]:
    """The living runs that claim or hold any of the keys, but for `own`; those whose process is gone are closed."""
    wanted = {key[:_KEY_LENGTH] for key in keys}
    rivals = [
        run
        for run in running(client, [experiment], f" and tags.{STATE} LIKE '%'")
        if run.info.run_id != own and wanted & set(run.data.tags.get(KEYS, "").split(","))
    ]
    gone = watch.gone(rivals)
    close(client, gone)
    return [run for run in rivals if run not in gone]
