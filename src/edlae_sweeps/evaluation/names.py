"""The names of ranking metrics, such as ndcg_100 or recall_20_tail: the only place that knows them."""

import re
from dataclasses import dataclass
from typing import Any, Literal, get_args

from edlae_sweeps.errors import ConfigError

# What is measured: of the ranking of each user, or (coverage, gini) of all rankings together.
Kind = Literal["ndcg", "recall", "coverage", "gini"]
# Which held-out items count, and how much: all alike, those of a group of items, or all by inverse propensity.
View = Literal["", "head", "tail", "unbiased"]

# Rankings are cut off here.
DEPTH = 100
# Always measured, in this order.
METRICS = ("ndcg_100", "recall_20", "recall_50")
# Others that are worth a look: what the command line offers to complete.
COMMON = (
    *METRICS,
    *(f"ndcg_{depth}" for depth in (10, 20, 50)),
    *(f"{base}_{view}" for view in ("head", "tail", "unbiased") for base in ("ndcg_100", "recall_20")),
    "coverage_20",
    "gini_20",
)
_NAME = re.compile(
    r"(?P<kind>ndcg|recall)_(?P<depth>[1-9]\d?|100)(_(?P<view>head|tail|unbiased))?"
    r"|(?P<all>coverage|gini)_(?P<of_all>[1-9]\d?|100)"
)
_FORMS = (
    f"ndcg_R or recall_R with R from 1 to {DEPTH}, with or without _head, _tail or _unbiased at the end, or coverage_R "
    "or gini_R"
)
_KINDS: dict[Kind, str] = {"ndcg": "nDCG", "recall": "Recall", "coverage": "coverage", "gini": "Gini"}
_VIEWS = get_args(View)


@dataclass(frozen=True)
class Metric:
    """One metric: what it measures of the `depth` best items, and which held-out items count."""

    kind: Kind
    depth: int
    view: View = ""

    @classmethod
    def parse(cls, name: str, key: str = "metrics") -> "Metric":
        """The metric of that name. Raises ConfigError, which begins with `key`, for a name that no metric has."""
        match = _NAME.fullmatch(name)
        if match is None:
            raise ConfigError(f"{key}={name}: choose {_FORMS}, such as ndcg_100_tail")
        parts: dict[str, Any] = match.groupdict()
        return cls(parts["kind"] or parts["all"], int(parts["depth"] or parts["of_all"]), parts["view"] or "")

    @property
    def name(self) -> str:
        """`ndcg_100_tail`."""
        return "_".join([self.kind, str(self.depth), *([self.view] if self.view else [])])

    @property
    def label(self) -> str:
        """The name in words: `tail nDCG@100`."""
        return f"{self.view} {_KINDS[self.kind]}@{self.depth}".strip()

    @property
    def by_user(self) -> bool:
        """Whether each user has a value of its own, and so the mean a standard error."""
        return self.kind in ("ndcg", "recall")

    @property
    def order(self) -> tuple[int, int, int]:
        """Sort key for tables: nDCG first, all items before groups of them, small depths before large ones."""
        return list(_KINDS).index(self.kind), _VIEWS.index(self.view), self.depth

    def score(self, value: float) -> float:
        """`value` on a scale where more is better: itself, but for Gini its negative."""
        return -value if self.kind == "gini" else value


def metric_label(name: str) -> str:
    """The name of a metric in words."""
    return Metric.parse(name).label


def is_metric(name: str) -> bool:
    """Whether a metric has this name."""
    return _NAME.fullmatch(name) is not None
