"""Dense symmetric linear algebra: the only home of LAPACK calls."""

from edlae_sweeps.linalg.eigen import eigen_products, eigen_workspace, leading_eigenpairs
from edlae_sweeps.linalg.general import invert_general
from edlae_sweeps.linalg.spd import invert_spd, mirror_upper, solve_spd

__all__ = [
    "eigen_products",
    "eigen_workspace",
    "invert_general",
    "invert_spd",
    "leading_eigenpairs",
    "mirror_upper",
    "solve_spd",
]
