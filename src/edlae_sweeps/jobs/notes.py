"""What a run says about itself in words: its name, and the description that MLflow's pages show."""

from collections.abc import Mapping, Sequence
from typing import Any

from edlae_sweeps.evaluation import METRICS, metric_label
from edlae_sweeps.jobs.result import Result, cell_name
from edlae_sweeps.methods import Method, Rank
from edlae_sweeps.settings import Optuna, Settings

# Options that are shown by a symbol, and whatever their value.
_SYMBOLS = {"l2": "λ", "dropout": "p"}
_MOST_CHARACTERS = 200


def cell_run_name(settings: Settings, method: Method[Any], rank: Rank) -> str:
    """`closed-k500 λ=10 p=0.1 tuned`: a cell, λ and p, and every other option without its default."""
    tuned = ["tuned"] if isinstance(settings.tune, Optuna) else []
    return _joined([cell_name(settings, rank), *_options(settings, method), *tuned])


def job_run_name(settings: Settings, ranks: Sequence[Rank]) -> str:
    """`closed-3-ranks λ=10 p=0.1`, or `closed-3-ranks search`: a job and what its cells share."""
    cells = cell_name(settings, ranks[0]) if len(ranks) == 1 else f"{settings.method.name}-{len(ranks)}-ranks"
    search = isinstance(settings.tune, Optuna)
    return _joined([cells, *(["search"] if search else _options(settings, settings.method))])


def cell_note(settings: Settings, result: Result, command: str) -> str:
    """The description of a cell: what was fitted, how good it is, and how to repeat it."""
    tuned = f", tuned on the validation users{_by(settings.tune)}" if isinstance(settings.tune, Optuna) else ""
    shared = ", most of which it shared with other ranks" if result.shared else ""
    seconds = result.metrics["time/fit_seconds"]
    rows = [["test", *_scores(result.metrics, "test")], ["validation", *_scores(result.metrics, "validation")]]
    return "\n\n".join(
        [
            f"**{result.params['method']}** at rank {result.params['rank']} on {settings.dataset.label}"
            f"{_point(result.params)}{tuned}. The fit took {seconds:.3g} s{shared}.{_products(settings, result)}",
            _table(["users", "nDCG@100 ± SE", "Recall@20", "Recall@50"], rows + _baseline(result.baseline)),
            *_repeat(command),
        ]
    )


def job_note(settings: Settings, results: Sequence[Result], best: Result, command: str) -> str:
    """The description of a job: what was run, a table of its cells, the best of them, and how to repeat it."""
    ranks = ", ".join(str(result.params["rank"]) for result in results)
    what = f"**{settings.method.name}** on {settings.dataset.label} at rank{'s' if len(results) > 1 else ''} {ranks}"
    what += ", from products with X alone" if settings.by_products else ""
    winner = f"rank {best.params['rank']}"
    if isinstance(settings.tune, Optuna):
        ranges = ", ".join(f"{name} from {ends.low:g} to {ends.high:g}" for name, ends in settings.space().items())
        by = metric_label(settings.tune.metric)
        what += f": a search of {ranges} by validation {by}, then a fit of each rank at its best"
        winner += _point(best.params)
    else:
        what += f"{_point(results[0].params)}"
    rows = [
        [
            str(result.params["rank"]),
            *(_number(result.params.get(name)) for name in _SYMBOLS),
            f"{result.metrics['validation/ndcg_100']:.4f}",
            *_scores(result.metrics, "test"),
            f"{result.metrics['time/fit_seconds']:.3g}" + ("*" if result.shared else ""),
        ]
        for result in results
    ]
    popularity = [[name, "", "", "", *scores, ""] for name, *scores in _baseline(best.baseline)]
    header = ["rank", *_SYMBOLS.values(), "validation", "test nDCG@100 ± SE", "Recall@20", "Recall@50", "fit s"]
    footnote = (
        ["\\* not a stand-alone fit: it shared a factorisation, or ran beside others"]
        if any(result.shared for result in results)
        else []
    )
    return "\n\n".join(
        [
            f"{what}. Best on the validation users: {winner}.",
            _table(header, rows + popularity),
            *footnote,
            *_repeat(command),
        ]
    )


def _by(tune: Optuna) -> str:
    """What a search improved, where that is not nDCG@100."""
    return "" if tune.metric == METRICS[0] else f" by {metric_label(tune.metric)}"


def _options(settings: Settings, method: Method[Any]) -> list[str]:
    defaults = {**type(method)().params(True), "gram": "dense", "dtype": "float32", "seed": 0, "repeat": None}
    values = {
        "gram": "products" if settings.by_products else "dense",
        "dtype": settings.dtype,
        "seed": settings.seed,
        "repeat": settings.repeat,
        **method.params(settings.by_products),
    }
    ordered = [*_SYMBOLS, *(name for name in values if name not in _SYMBOLS)]
    return [
        f"{_SYMBOLS.get(name, name)}={_number(values[name])}"
        for name in ordered
        if name in values and (name in _SYMBOLS or values[name] != defaults.get(name))
    ]


def _joined(words: Sequence[str]) -> str:
    text = " ".join(words)
    return text if len(text) <= _MOST_CHARACTERS else f"{text[: _MOST_CHARACTERS - 1]}…"


def _point(params: Mapping[str, object]) -> str:
    shown = [f"{symbol} = {_number(params[name])}" for name, symbol in _SYMBOLS.items() if name in params]
    return f" with {', '.join(shown)}" if shown else ""


def _products(settings: Settings, result: Result) -> str:
    """How a cell was fitted from products, if it was, and how far d is off."""
    if not settings.by_products:
        return ""
    values = {name: result.params[name] for name in sorted(settings.method.product_options)}
    shown = ", ".join(f"{name} = {_number(value)}" for name, value in values.items() if value is not None)
    options = f" ({shown})" if shown else ""
    error = result.metrics.get("probes/error")
    estimated = "" if error is None else f" The estimated relative error of d is {100 * error:.2g} %."
    return f" It was fitted from products with X alone, without an n×n array{options}.{estimated}"


def _number(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value).replace(" ", "")


def _scores(metrics: Mapping[str, float], part: str) -> list[str]:
    accuracy = f"{metrics[f'{part}/ndcg_100']:.4f} ± {metrics[f'{part}/ndcg_100_se']:.4f}"
    return [accuracy, *(f"{metrics[f'{part}/recall_{k}']:.4f}" for k in (20, 50))]


def _baseline(baseline: Mapping[str, float]) -> list[list[str]]:
    """The row of the popularity baseline, if it is known."""
    return [["popularity, test", *_scores(baseline, "baseline")]] if baseline else []


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _repeat(command: str) -> list[str]:
    return [f"Repeat it with\n\n    {command}"] if command else []
