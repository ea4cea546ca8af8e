"""Linear algebra of symmetric matrices: dense on BLAS and LAPACK, and of operators that are only multiplied with."""

from edlae_sweeps.linalg.backend import Array, Backend, backend_for, backend_of
from edlae_sweeps.linalg.conjugate import Deflation, Effort, Inverse, column, solving_workspace
from edlae_sweeps.linalg.deflation import deflated
from edlae_sweeps.linalg.device import check_device, device_errors, on_cpu, operator_of, settle, with_fallback
from edlae_sweeps.linalg.eigen import eigen_products, eigen_workspace, leading_eigenpairs, uses_blocks
from edlae_sweeps.linalg.eigen_dense import dense_workspace
from edlae_sweeps.linalg.general import invert_general
from edlae_sweeps.linalg.krylov import Eigenpairs, Product, basis_columns, block_krylov, block_workspace
from edlae_sweeps.linalg.parts import WIDTH, Each, column_blocks, in_threads, team
from edlae_sweeps.linalg.probes import InverseDiagonal, inverse_diagonal
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
    "WIDTH",
    "Array",
    "Backend",
    "Deflation",
    "Each",
    "Effort",
    "Eigenpairs",
    "Inverse",
    "InverseDiagonal",
    "Product",
    "backend_for",
    "backend_of",
    "basis_columns",
    "block_krylov",
    "block_workspace",
    "check_device",
    "column",
    "column_blocks",
    "deflated",
    "dense_workspace",
    "device_errors",
    "eigen_products",
    "eigen_workspace",
    "in_threads",
    "inverse_diagonal",
    "invert_general",
    "invert_spd",
    "invert_upper",
    "leading_eigenpairs",
    "lower_product",
    "mirror_upper",
    "on_cpu",
    "operator_of",
    "set_above",
    "settle",
    "solve_spd",
    "solving_workspace",
    "team",
    "top_items",
    "upper_blocks",
    "upper_product",
    "uses_blocks",
    "with_fallback",
]
