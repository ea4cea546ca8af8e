"""Ways to the leading eigenpairs of M = BᵀAB: their seconds, and the energy that they miss.

    python tests/benchmarks/eigenpairs.py [--ranks 10 100 500 1000] [--only blocks LAPACK] [dataset=debian ...]

`blocks` is what `leading_eigenpairs` uses for large n, with the tolerance method.eig_tol. `subspace` iterates with one
block of 1.5k columns until it reaches the energy of `blocks`. ARPACK and LOBPCG are SciPy's, at tolerances that reach
about the same. Gaps are relative to the best energy, LAPACK's if it runs.
"""

from collections.abc import Callable

import numpy as np
from common import Bench, load_training, parse, parser, timed
from scipy.linalg import qr
from scipy.sparse.linalg import eigsh, lobpcg

from edlae_sweeps.linalg import block_krylov, leading_eigenpairs
from edlae_sweeps.linalg.spd import upper_product
from edlae_sweeps.methods.closed.inverse import solve_full_rank
from edlae_sweeps.methods.closed.low_rank import metric


def start(n: int, b: int, dtype: np.dtype) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((n, b)).astype(dtype)


def subspace(M: np.ndarray, k: int, wanted: float) -> np.ndarray:
    """Block subspace iteration with Rayleigh–Ritz, until the energy reaches `wanted`."""
    Q = qr(start(len(M), max(k * 3 // 2, k + 10), M.dtype), mode="economic")[0]
    for _ in range(100):
        W = M @ Q
        values = np.linalg.eigvalsh(Q.T @ W)[::-1][:k]
        if values.sum(dtype=np.float64) >= wanted:
            break
        Q = qr(W, mode="economic")[0]
    return values


def ways(M: np.ndarray, k: int, tolerance: float) -> dict[str, Callable[[float], np.ndarray]]:
    """Name → eigenvalues, given the energy to reach."""
    n = len(M)
    return {
        "LAPACK": lambda _: leading_eigenpairs(M, k, 0.0).values,
        "blocks": lambda _: block_krylov(lambda Y: upper_product(M, Y), n, k, M.dtype, tolerance).values,
        "subspace": lambda wanted: subspace(M, k, wanted),
        "ARPACK": lambda _: eigsh(M, k, tol=1e-3, v0=start(n, 1, M.dtype)[:, 0])[0],
        "LOBPCG": lambda _: lobpcg(M, start(n, k, M.dtype), largest=True, tol=1e-2, maxiter=60)[0],
    }


def main() -> None:
    options = parser(__doc__, [10, 100, 500, 1000])
    options.add_argument("--only", nargs="+", help="some of LAPACK, blocks, subspace, ARPACK, LOBPCG")
    given, chosen = parse(options)
    data = load_training(chosen)
    penalty = chosen.method.penalty(data.item_counts)
    M = metric(data.gram, penalty, solve_full_rank(data.gram, penalty), np.zeros(data.n_items))
    del data
    bench = Bench.on("leading eigenpairs", M)
    for k in given.ranks:
        best = 0.0
        results = []
        for name, way in ways(M, k, chosen.method.eig_tol).items():
            if given.only and name not in given.only:
                continue
            seconds, values = timed(lambda way=way, best=best: way(best * (1 - chosen.method.eig_tol)))
            results.append((name, seconds, float(np.sum(values, dtype=np.float64))))
            best = max(best, results[-1][2])
        for name, seconds, energy in results:
            bench.add(name, k, seconds, gap=1 - energy / best)
    bench.show()


if __name__ == "__main__":
    main()
