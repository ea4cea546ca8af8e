"""Symmetric matrices stored in one triangle, on a device: inversion in place, products and solves, by blocks.

A is (n, n) with contiguous rows. The libraries of CUDA invert a factor by solving against an identity, a second (n, n)
array; here the workspace is a few panels (block, n). Almost all flops are in products of whole panels.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from edlae_sweeps.linalg.spd import check_condition, check_norm, check_pivot


def invert_upper(a: torch.Tensor, block: int) -> None:
    """Replace the upper triangle of a symmetric positive definite A by that of A⁻¹, n³ flops, and keep the lower one.

    A = RᵀR, W = R⁻¹, A⁻¹ = WWᵀ, each in the place of the one before. Raises SolverError like `spd.invert_upper`.
    """
    norm = one_norm(a, block)
    check_norm(norm)
    with _lower_parts_kept(a, block):
        _factorise(a, block)
        _invert_factor(a, block)
        _square_factor(a, block)
    check_condition(norm, one_norm(a, block), type_name(a.dtype))


def solve_spd(a: torch.Tensor, b: torch.Tensor, block: int) -> torch.Tensor:
    """x (n, 1) with Ax = b, from the upper triangle of A: n³/3 flops. Overwrites `a`."""
    _factorise(a, block)
    y = torch.linalg.solve_triangular(a.T, b, upper=False)
    return torch.linalg.solve_triangular(a, y, upper=True)


def triangle_product(
    a: torch.Tensor, Y: torch.Tensor, block: int, diagonal: torch.Tensor | None = None
) -> torch.Tensor:
    """SY (n, b), contiguous columns, for the symmetric S stored in the upper triangle of `a`: 2n²b flops.

    `diagonal` (n,) replaces the diagonal of `a`.
    """
    result = torch.empty((Y.shape[1], len(a)), dtype=a.dtype, device=a.device).T.zero_()
    for rows, right in _panels(len(a), block):
        above = a[rows, rows].triu(1)
        square = above + above.T
        square.diagonal().copy_((a.diagonal() if diagonal is None else diagonal)[rows])
        result[rows].addmm_(square, Y[rows])
        result[rows].addmm_(a[rows, right], Y[right])
        result[right].addmm_(a[rows, right].T, Y[rows])
    return result


def one_norm(a: torch.Tensor, block: int) -> float:
    """‖S‖₁ of the symmetric S stored in the upper triangle of `a`; NaN or infinite if an entry is."""
    sums = torch.zeros(len(a), dtype=torch.float64, device=a.device)
    for rows, right in _panels(len(a), block):
        panel = a[rows, rows.start :].abs()
        panel[:, : rows.stop - rows.start].triu_()
        sums[rows] += panel.sum(dim=1)
        sums[right] += panel[:, rows.stop - rows.start :].sum(dim=0)
        # The part of the diagonal block below the diagonal, by its mirror image.
        sums[rows] += panel[:, : rows.stop - rows.start].triu_(1).sum(dim=0)
    return float(sums.max())


def _panels(n: int, block: int) -> Iterator[tuple[slice, slice]]:
    """The rows of each block, and all columns right of its diagonal block."""
    for start in range(0, n, block):
        stop = min(start + block, n)
        yield slice(start, stop), slice(stop, n)


@contextmanager
def _lower_parts_kept(a: torch.Tensor, block: int) -> Iterator[None]:
    """Restore what the diagonal blocks have below their diagonals; elsewhere nothing below it is written."""
    kept = [a[rows, rows].tril(-1) for rows, _ in _panels(len(a), block)]
    try:
        yield
    finally:
        for (rows, _), lower in zip(_panels(len(a), block), kept, strict=True):
            square = a[rows, rows]
            above = torch.ones_like(square, dtype=torch.bool).triu_()
            square.copy_(torch.where(above, square, lower))


def _factorise(a: torch.Tensor, block: int) -> None:
    """R, A = RᵀR, by rows of blocks from the top; the diagonal blocks have zeros below the diagonal."""
    n = len(a)
    for rows, right in _panels(n, block):
        above = slice(0, rows.start)
        # All rows above at once: one product of the panels that are finished.
        a[rows, rows.start :].addmm_(a[above, rows].T, a[above, rows.start :], alpha=-1)
        L, info = torch.linalg.cholesky_ex(a[rows, rows].triu().T)
        check_pivot(int(info), rows.start, n)
        a[rows, rows] = L.T
        if right.start < n:
            a[rows, right] = torch.linalg.solve_triangular(L, a[rows, right], upper=False)


def _invert_factor(a: torch.Tensor, block: int) -> None:
    """W = R⁻¹, by rows of blocks from the bottom: W_ij = −W_ii Σ_l R_il W_lj, i < l ≤ j."""
    n = len(a)
    panels = list(_panels(n, block))
    for i in reversed(range(len(panels))):
        rows, right = panels[i]
        # Columns of the panel count from `right.start`.
        panel = a.new_zeros((rows.stop - rows.start, n - rows.stop))
        for inner, _ in panels[i + 1 :]:
            panel[:, inner.start - right.start :].addmm_(a[rows, inner], a[inner, inner.start :])
        identity = torch.eye(len(panel), dtype=a.dtype, device=a.device)
        inverse = torch.linalg.solve_triangular(a[rows, rows], identity, upper=True)
        torch.mm(inverse, panel, out=a[rows, right]).neg_()
        a[rows, rows] = inverse


def _square_factor(a: torch.Tensor, block: int) -> None:
    """WWᵀ, by rows of blocks from the top, none of which needs a row above: Σ_l W_il W_jlᵀ, l ≥ j ≥ i."""
    n = len(a)
    panels = list(_panels(n, block))
    for i, (rows, _) in enumerate(panels):
        panel = a.new_zeros((rows.stop - rows.start, n - rows.start))
        for inner, _ in panels[i:]:
            columns = slice(rows.start, inner.stop)
            panel[:, : inner.stop - rows.start].addmm_(a[rows, inner], a[columns, inner].T)
        a[rows, rows.start :] = panel


def type_name(dtype: torch.dtype) -> str:
    """NumPy's name of a type of PyTorch."""
    return str(dtype).removeprefix("torch.")
