"""What is measured beyond the metrics that always are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from edlae_sweeps.datasets import Prepared
from edlae_sweeps.evaluation import COMMON, METRICS, Metric, Suite
from edlae_sweeps.imports import override
from edlae_sweeps.options import Options

# Those that are always measured need no name.
Further = Annotated[str, tuple(name for name in COMMON if name not in METRICS)]


@dataclass(frozen=True, kw_only=True, repr=False)
class Evaluation(Options):
    """The metrics of held-out users beside nDCG@100, Recall@20 and Recall@50. No key of a result depends on them.

    metrics  names of further ones: ndcg_R, recall_R (R from 1 to 100), with or without _head, _tail or _unbiased at the
             end; coverage_R, gini_R
    """

    prefix: ClassVar[str] = "evaluation."

    metrics: tuple[Further, ...] = ()

    @override
    def check(self) -> None:
        for name in self.metrics:
            Metric.parse(name, "evaluation.metrics")


def check_metrics(names: Sequence[str], data: Prepared, item_counts: NDArray[np.float64]) -> None:
    """Raise DataError for a metric that no validation or no test user counts for.

    `item_counts` (n,) are the numbers of training users of the items.
    """
    for held_out in (data.validation, data.test):
        Suite(names, item_counts, held_out)
