"""What a job logs on its own run, above those of its cells: the best of them, the pictures of its search, a note."""

from collections.abc import Sequence
from pathlib import Path

from edlae_sweeps.evaluation import Metric
from edlae_sweeps.jobs.notes import job_note
from edlae_sweeps.jobs.result import Result
from edlae_sweeps.settings import Optuna, Settings
from edlae_sweeps.tracking import Run

_PICTURES = ("landscape.png", "history.png", "evaluations.csv")


def log_job(settings: Settings, results: Sequence[Result], output: Path, command: str, run: Run) -> None:
    """Log the best cell as `best/*` metrics and `best.*` tags, the search of each rank, and a description.

    The best is the one with the best value of the validation metric that a search improves, or else nDCG@100.
    """
    metric = settings.tune.metric if isinstance(settings.tune, Optuna) else "ndcg_100"
    score = Metric.parse(metric).score
    best = max(results, key=lambda result: score(result.metrics[f"validation/{metric}"]))
    names = ["rank", *(name for name in ("l2", "dropout") if name in best.params), *settings.space()]
    run.log(
        metrics={
            f"best/validation_{metric}": best.metrics[f"validation/{metric}"],
            "best/test_ndcg_100": best.metrics["test/ndcg_100"],
            "best/test_ndcg_100_se": best.metrics["test/ndcg_100_se"],
        },
        tags={f"best.{name}": str(best.params[name]) for name in names},
        note=job_note(settings, results, best, command),
    )
    for result in results:
        folder = output / result.name
        run.upload([path for name in _PICTURES if (path := folder / name).exists()], result.name)
