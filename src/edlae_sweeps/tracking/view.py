"""What the page of an experiment shows: a view of its cells, and a description.

MLflow's pages store a view in a tag of the experiment, and open the one that `viewStateShareKey` in the URL names.
"""

import hashlib
import json
from collections.abc import Mapping
from urllib.parse import quote, urlsplit, urlunsplit

# The columns of the view and their widths in pixels, in order.
_COLUMNS = {
    "params.`method`": 110,
    "params.`rank`": 70,
    "params.`l2`": 90,
    "params.`dropout`": 80,
    "params.`tune`": 80,
    "metrics.`test/ndcg_100`": 110,
    "metrics.`test/ndcg_100_se`": 130,
    "metrics.`validation/ndcg_100`": 150,
    "metrics.`time/fit_seconds`": 130,
}
# Columns that MLflow always shows, first.
_FIXED = {"attributes.`Run Name`": 300, "runDateAndNestInfo": 140}
# The charts that come first in the group of test metrics.
_CHARTS = ("test/ndcg_100", "test/recall_20", "test/recall_50")
# The groups of charts: those that open, and those that stay closed.
_OPEN = ("test", "validation", "train", "time")
_CLOSED = ("baseline", "cg", "diagonal", "eigen", "eq11", "memory", "probes", "residual", "tune", "Model metrics",
           "System metrics")  # fmt: skip
_NAME = "Cells, best nDCG@100 first"
# MLflow needs a time of creation; a fixed one keeps the tag the same.
_CREATED = 1_700_000_000_000
_PATH = "experiments/{id}/runs?workflowType=machine_learning&viewStateShareKey={key}"


def experiment_tags(name: str) -> dict[str, str]:
    """The tags that the experiment of the data set `name` should have.

    A view is added under a key of its content, so that a version with other columns does not replace the view that a
    user may have edited.
    """
    return {
        f"mlflow.sharedViewState.{view_key()}": _view(),
        # Before MLflow 3.17, this tag tells the training view from that of GenAI applications.
        "mlflow.experimentKind": "custom_model_development",
        "mlflow.note.content": _description(name),
    }


def page(uri: str, experiment_id: str) -> str:
    """The URL of the view on the pages of the server at `uri`."""
    return f"{_address(uri)}/#/{_PATH.format(id=experiment_id, key=view_key())}"


def run_page(uri: str, experiment_id: str, run_id: str) -> str:
    """The URL of a run on the pages of the server at `uri`."""
    return f"{_address(uri)}/#/experiments/{quote(experiment_id, safe='')}/runs/{quote(run_id, safe='')}"


def _address(uri: str) -> str:
    """Where a browser finds a server: its URI without user and password, for which the browser asks, and options."""
    parts = urlsplit(uri)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))


def view_key() -> str:
    """The key of the view in URLs and tags."""
    return f"cells-{hashlib.sha256(_view().encode()).hexdigest()[:8]}"


def _view() -> str:
    """The view, named for the menu of saved views; versions of MLflow without that menu read the keys of the state."""
    state = _state()
    named = {"name": _NAME, "createdAt": _CREATED, "updatedAt": _CREATED, "state": json.dumps(state)}
    return json.dumps({**state, **named})


def _state() -> Mapping[str, object]:
    sections = [(name, True) for name in _OPEN] + [(name, False) for name in _CLOSED]
    return {
        "searchFilter": "tags.kind = 'cell'",
        "orderByKey": "metrics.`test/ndcg_100`",
        "orderByAsc": False,
        "selectedColumns": [*_COLUMNS],
        "columnOrder": [*_FIXED, *_COLUMNS],
        "columnWidths": {**_FIXED, **_COLUMNS},
        # MLflow adds a chart of each other metric to the section of its group.
        "compareRunCharts": [
            {
                "type": "BAR",
                "uuid": f"chart-{name}",
                "metricKey": name,
                "metricSectionId": "section-test",
                "runsCountToCompare": 10,
                "isGenerated": True,
                "deleted": False,
            }
            for name in _CHARTS
        ],
        "compareRunSections": [
            {"uuid": f"section-{name}", "name": name, "display": display, "isReordered": False, "isGenerated": True}
            for name, display in sections
        ],
        "isAccordionReordered": True,
        "runsHiddenMode": "FIRST_20_RUNS",
    }


def _description(name: str) -> str:
    return (
        f"Linear autoencoders on **{name}**. The saved view *{_NAME}* lists the results, "
        "and each command prints a link to it.\n\nThe tag `kind` says what a run is:\n\n"
        "- `cell`: one method at one rank, with its test metrics. Compare these.\n"
        "- `job`: the parent of the cells of one command, with the best figures and the popularity baseline.\n"
        "- `evaluation`: one point of a search, with validation metrics by rank (the step).\n"
        "- `report`: figures and tables of all cells."
    )
