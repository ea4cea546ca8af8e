"""What methods that fit from products with G alone share: their checks, time and memory."""

from edlae_sweeps.datasets import TrainingData
from edlae_sweeps.errors import ConfigError
from edlae_sweeps.linalg import WIDTH, basis_columns

# Multiplications per second of the sparse products on two cores (1.3 to 3.8e9 from n = 997,935 to 99,878), and how many
# times as many a dense product makes.
SPARSE_RATE, DENSE_RATIO = 2e9, 20
# The same of a product with few columns, which reads the dense matrix each time: measured at n = 997,935 with 8 and 16
# columns of 128 pairs.
NARROW_RATIO = 12
# Follows the name of a method in tables and figures where it was fitted from products.
BY_PRODUCTS = " (products)"


def check_block_solver(eig_tol: float) -> None:
    """Raise ConfigError if the dense eigensolver is asked for."""
    if eig_tol == 0:
        raise ConfigError("method.eig_tol=0: LAPACK's eigensolver needs G as a dense array; choose gram=dense")


def product_seconds(data: TrainingData, columns: int) -> float:
    """Expected seconds of products of G with this number of columns: 2 multiplications an event and column."""
    return 2 * data.events * columns / SPARSE_RATE


def krylov_seconds(data: TrainingData, k: int, products: int) -> float:
    """Expected seconds of the block Krylov method for k pairs with `products` of G for each column of its basis.

    Beside these it reorthogonalises the basis (n, m) and takes the eigenpairs of H (m, m).
    """
    n, m = data.n_items, basis_columns(data.n_items, k, narrow=True)
    return product_seconds(data, products * m) + (2 * n * m**2 + 12 * m**3) / (SPARSE_RATE * DENSE_RATIO)


def products_bytes(data: TrainingData, copies: int = 2) -> int:
    """Bytes of `copies` of X, two of them as X and Xᵀ, and of XY and GY for a block Y."""
    entry = data.dtype.itemsize + data.X.indices.itemsize
    return int(copies * data.events * entry + (data.shape[0] + data.n_items) * WIDTH * data.dtype.itemsize)
