"""Whether a model beats the champion: the paired difference of their metrics on the same test users."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Two-sided normal quantile of 5 %.
QUANTILE = 1.96


@dataclass(frozen=True)
class Comparison:
    """Mean over users of test nDCG@100, challenger − champion, its standard error, and the number of users."""

    difference: float
    error: float
    users: int

    @property
    def beats(self) -> bool:
        """Whether the challenger is better by at least 1.96 standard errors."""
        return self.difference > 0 and self.difference >= QUANTILE * self.error

    def __str__(self) -> str:
        # Equal metrics have a difference without an error, and so has a single user.
        errors = f", {self.difference / self.error:+z.1f} standard errors" if self.error else ""
        return f"{self.difference:+z.4f} ± {self.error:.4f} nDCG@100 on the same {self.users:,} test users{errors}"


def compare(challenger: Mapping[str, NDArray[Any]], champion: Mapping[str, NDArray[Any]]) -> Comparison | None:
    """Compare the metrics of each user, as in per_user.npz; None if the users differ."""
    if not np.array_equal(challenger["users"], champion["users"]):
        return None
    difference = challenger["ndcg_100"] - champion["ndcg_100"]
    users = len(difference)
    return Comparison(float(difference.mean()), float(difference.std() / np.sqrt(users)), users)
