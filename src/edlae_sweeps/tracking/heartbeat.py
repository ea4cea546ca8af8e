"""The heartbeat of a run: a thread that raises a tag while its process lives, and watches the runs of others."""

import itertools
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from mlflow import MlflowClient

from edlae_sweeps.tracking.watch import HEARTBEAT, Watch, close_all

HEARTBEAT_SECONDS = 20.0
# Beats from one look at the runs of other processes to the next.
_BEATS_PER_WATCH = 15
_log = logging.getLogger(__name__)


@contextmanager
def beating(client: MlflowClient, uri: str, run_id: str) -> Iterator[None]:
    """Raise the heartbeat of a run while the block runs. Runs nested below it need none of their own."""
    stop = threading.Event()
    threading.Thread(target=_beat, args=[client, uri, run_id, stop], name="heartbeat", daemon=True).start()
    try:
        yield
    finally:
        stop.set()


def _beat(client: MlflowClient, uri: str, run_id: str, stop: threading.Event) -> None:
    watch = Watch(uri)
    for beat in itertools.count(1):
        if stop.wait(HEARTBEAT_SECONDS):
            return
        try:
            client.set_tag(run_id, HEARTBEAT, str(beat))
            if beat % _BEATS_PER_WATCH == 0:
                close_all(client, watch)
        except Exception:  # noqa: BLE001 - nothing here may disturb the job, and the next beat may succeed
            _log.debug("no heartbeat of run %s", run_id, exc_info=True)
