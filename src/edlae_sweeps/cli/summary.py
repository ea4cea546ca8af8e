"""The table at the end of a command, and how to browse the results."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from edlae_sweeps.console import print_line, print_table
from edlae_sweeps.errors import TrackingError
from edlae_sweeps.evaluation import METRICS, is_metric, metric_label
from edlae_sweeps.jobs import Result
from edlae_sweeps.settings import Tracking, masked_uri, shell_uri
from edlae_sweeps.tracking import Store, database_uri

_HEADER = ("method", "rank", "λ", "p", "nDCG@100 ± SE", "Recall@20", "Recall@50", "sq. error", "fit s")


def print_summary(jobs: Sequence[tuple[str, Sequence[Result]]], tracking: Tracking) -> None:
    """Print the test metrics of all results, by data set, below its popularity baseline; then how to browse.

    `jobs` holds the label of the data set and the results of each job, at least one result each.
    """
    labels = dict.fromkeys(label for label, _ in jobs)
    for label in labels:
        results = [result for of, results in jobs if of == label for result in results]
        further = _further(results)
        header = (*_HEADER, *map(metric_label, further))
        rows = [*_baseline(results, further), *(_row(result, further) for result in results)]
        print_table(f"{label}, test users", header, rows, texts=("method",), keys=2)
        if any(result.shared for result in results):
            print_line("* not a stand-alone fit: it shared a factorisation, or ran beside others")
    for line in _browse(list(labels), tracking):
        print_line(line)


def _browse(labels: Sequence[str], tracking: Tracking) -> list[str]:
    """How to open the cells in MLflow's pages: the command that serves a database, and a link for each data set."""
    uri = tracking.uri or database_uri(Path(tracking.dir))
    try:
        store = Store(tracking.uri, Path(tracking.dir))
        pages = [page for label in labels if (page := store.page(label))]
    except TrackingError:
        # The results are logged; only the links are missing.
        pages = []
    if uri.startswith(("http://", "https://")):
        return [f"browse: {page}" for page in pages or [masked_uri(uri)]]
    command = f"browse: mlflow ui --backend-store-uri {shell_uri(uri)}"
    return [command, *(f"        {page}" for page in pages)]


def _baseline(results: Sequence[Result], further: Sequence[str]) -> list[list[str]]:
    """The row of the popularity baseline, if any of the jobs has it."""
    metrics = _popularity(results)
    if not metrics:
        return []
    recalls = [f"{metrics[f'baseline/recall_{k}']:.4f}" for k in (20, 50)]
    scores = [_with_error(metrics, "baseline/ndcg_100"), *recalls]
    return [["popularity", "", "", "", *scores, "", "", *_values(metrics, "baseline", further)]]


def _popularity(results: Sequence[Result]) -> Mapping[str, float]:
    """The metrics of the popularity baseline that the most of these jobs know; empty if none does."""
    return max((result.baseline for result in results), key=len)


def _further(results: Sequence[Result]) -> list[str]:
    """The names of the metrics that some of the results have beside those that all have."""
    names = dict.fromkeys(name.removeprefix("test/") for result in results for name in result.metrics)
    return [name for name in names if is_metric(name) and name not in METRICS]


def _values(metrics: Mapping[str, float], part: str, names: Sequence[str]) -> list[str]:
    """The metrics of these names, with their standard errors if they have some."""
    texts = []
    for name in (f"{part}/{name}" for name in names):
        error = f" ± {metrics[f'{name}_se']:.4f}" if f"{name}_se" in metrics else ""
        # A Gini coefficient of 0 may be computed as −1e-17.
        texts.append(f"{metrics[name]:z.4f}{error}" if name in metrics else "")
    return texts


def _row(result: Result, further: Sequence[str]) -> list[str]:
    params, metrics = result.params, result.metrics
    return [
        result.method,
        str(params["rank"]),
        _number(params.get("l2")),
        _number(params.get("dropout")),
        _with_error(metrics, "test/ndcg_100"),
        f"{metrics['test/recall_20']:.4f}",
        f"{metrics['test/recall_50']:.4f}",
        f"{metrics['train/squared_error']:z,.0f}",
        f"{metrics['time/fit_seconds']:.1f}" + ("*" if result.shared else ""),
        *_values(metrics, "test", further),
    ]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _with_error(metrics: Mapping[str, float], name: str) -> str:
    return f"{metrics[name]:.4f} ± {metrics[f'{name}_se']:.4f}"
