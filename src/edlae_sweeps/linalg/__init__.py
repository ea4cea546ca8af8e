"""Dense symmetric linear algebra: the only home of LAPACK calls."""

from edlae_sweeps.linalg.eigen import eigen_workspace, leading_eigenpairs
from edlae_sweeps.linalg.spd import invert_spd, mirror_upper

__all__ = ["eigen_workspace", "invert_spd", "leading_eigenpairs", "mirror_upper"]
