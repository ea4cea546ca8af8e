"""When the block Krylov method looks at its eigenpairs again: a look costs much in a large basis."""

import math

# The factor by which each step after the first look is expected to reduce the gap. After two looks it is the square of
# that of the steps between them, since the gap falls ever faster, but no less than the last number.
_FALL, _LEAST_FALL = 8.0, 1.5


def columns_ahead(looks: list[tuple[int, float]], tolerance: float, k: int, b: int, narrow: bool) -> int:
    """Columns until the next look, for k eigenpairs and b columns per step.

    `looks` are the earlier (step, gap) pairs with a gap that is a share of the energy; other gaps foretell nothing.
    """
    ahead = b * _steps_left(looks, tolerance) if looks else k // 4
    # A step of a narrow operator costs more than a look.
    return min(ahead, k // 2) if narrow else ahead


def _steps_left(looks: list[tuple[int, float]], tolerance: float) -> int:
    """Expected number of steps until the gap is at most `tolerance`. `looks` are earlier (step, gap) pairs.

    A step too few costs another look, a step too many its columns in all that follows.
    """
    fall = _FALL
    if len(looks) > 1:
        (before, larger), (now, smaller) = looks[-2:]
        fall = max(_LEAST_FALL, (larger / smaller) ** (2 / (now - before)))
    return max(1, round(math.log(looks[-1][1] / tolerance) / math.log(fall)))
