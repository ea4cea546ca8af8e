"""Dense linear algebra of symmetric matrices, on BLAS and LAPACK."""

from edlae_sweeps.linalg.eigen import dense_workspace, eigen_products, eigen_workspace, leading_eigenpairs, uses_blocks
from edlae_sweeps.linalg.general import invert_general
from edlae_sweeps.linalg.krylov import Eigenpairs, Product, block_krylov, block_workspace
from edlae_sweeps.linalg.spd import (
    invert_spd,
    invert_upper,
    lower_product,
    mirror_upper,
    set_above,
    solve_spd,
    upper_blocks,
    upper_product,
)
from edlae_sweeps.linalg.topk import top_items

__all__ = [
    "Eigenpairs",
    "Product",
    "block_krylov",
    "block_workspace",
    "dense_workspace",
    "eigen_products",
    "eigen_workspace",
    "invert_general",
    "invert_spd",
    "invert_upper",
    "leading_eigenpairs",
    "lower_product",
    "mirror_upper",
    "set_above",
    "solve_spd",
    "top_items",
    "upper_blocks",
    "upper_product",
    "uses_blocks",
]
