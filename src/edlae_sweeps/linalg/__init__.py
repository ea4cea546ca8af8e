"""Linear algebra of symmetric matrices: dense by BLAS and LAPACK or by PyTorch, and of operators without entries.

The operators are only multiplied with.
"""

from edlae_sweeps.linalg.backend import Array, Backend, backend_for, backend_of
from edlae_sweeps.linalg.conjugate import Effort, Inverse, solving_workspace
from edlae_sweeps.linalg.deflation import deflated
from edlae_sweeps.linalg.device import check_device, on_cpu, operator_of, settle, with_fallback
from edlae_sweeps.linalg.eigen import eigen_products, eigen_workspace, leading_eigenpairs, uses_blocks
from edlae_sweeps.linalg.eigen_dense import dense_workspace, eigenvalues
from edlae_sweeps.linalg.factor import Factor, add_outer, semidefinite_root
from edlae_sweeps.linalg.general import invert_general
from edlae_sweeps.linalg.krylov import Eigenpairs, Product, basis_columns, block_krylov, block_workspace
from edlae_sweeps.linalg.parts import WIDTH, Each, column_blocks, in_threads, team
from edlae_sweeps.linalg.probes import InverseDiagonal, inverse_diagonal
from edlae_sweeps.linalg.spd import mirror_upper, upper_blocks
from edlae_sweeps.linalg.topk import top_items

__all__ = [
    "WIDTH",
    "Array",
    "Backend",
    "Each",
    "Effort",
    "Eigenpairs",
    "Factor",
    "Inverse",
    "InverseDiagonal",
    "Product",
    "add_outer",
    "backend_for",
    "backend_of",
    "basis_columns",
    "block_krylov",
    "block_workspace",
    "check_device",
    "column_blocks",
    "deflated",
    "dense_workspace",
    "eigen_products",
    "eigen_workspace",
    "eigenvalues",
    "in_threads",
    "inverse_diagonal",
    "invert_general",
    "leading_eigenpairs",
    "mirror_upper",
    "on_cpu",
    "operator_of",
    "semidefinite_root",
    "settle",
    "solving_workspace",
    "team",
    "top_items",
    "upper_blocks",
    "uses_blocks",
    "with_fallback",
]
