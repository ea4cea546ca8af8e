"""The stochastic training of emphasised denoising, with PyTorch; imported only to fit."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array

from edlae_sweeps.linalg.torch_sparse import rows_product
from edlae_sweeps.methods.neural.gradient import batches, place
from edlae_sweeps.resources import Resources

# Scale of the random start: small, as for any factorisation, but not so small that Adam must first grow it.
_START = 0.03


class Denoiser:
    """U, V (n, k) in training, from a random start."""

    def __init__(self, X: csr_array, k: int, dropout: float, batch: int, seed: int, resources: Resources) -> None:
        self._X, self._p, self._batch = X, dropout, batch
        self._device = place(resources)
        self._random = np.random.default_rng(seed)
        start = _START * self._random.standard_normal((2, X.shape[1], k)).astype(X.dtype)
        self.U, self.V = (torch.tensor(part, device=self._device, requires_grad=True) for part in start)
        self._adam = torch.optim.Adam([self.U, self.V], weight_decay=0, fused=True)

    def parts(self) -> list[float]:
        """Where each batch begins, as a fraction of the epoch."""
        return [rows.start / self._X.shape[0] for rows in batches(self._X.shape[0], self._batch)]

    def epoch(self, rates: Sequence[float]) -> None:
        """One pass over the users, in a new order, with a learning rate for each batch."""
        X = self._X[self._random.permutation(self._X.shape[0])]
        for rate, rows in zip(rates, batches(X.shape[0], self._batch), strict=True):
            for group in self._adam.param_groups:
                group["lr"] = rate
            self._adam.zero_grad()
            (self.loss(X[rows]) / (rows.stop - rows.start)).backward()
            self._adam.step()

    def factors(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """U and V as they are now."""
        return self.U.detach().to("cpu", copy=True).numpy(), self.V.detach().to("cpu", copy=True).numpy()

    def loss(self, X: csr_array) -> torch.Tensor:
        """The loss of rows X (b, n) under masks δ drawn anew: Σ (x − s)² over the dropped entries, s = x̃UVᵀ.

        A zero of X is dropped independently of x̃, so it enters with its expectation p·s_uj². Only masks of the
        non-zeros are drawn: nothing of size b×n is needed, and the gradient has the same mean and less variance.

            Σ_{x≠0, dropped}(x − s)² + p·(Σ_u z_uVᵀVz_uᵀ − Σ_{x≠0} s²),   z = x̃U
        """
        kept = self._random.random(X.nnz) >= self._p
        corrupted = csr_array(((X.data * kept / (1 - self._p)).astype(X.dtype), X.indices, X.indptr), shape=X.shape)
        Z = rows_product(corrupted, self.U)
        users = torch.from_numpy(np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))).to(self._device)
        items, x, dropped = (torch.from_numpy(part).to(self._device) for part in (X.indices, X.data, ~kept))
        s = (Z[users] * self.V[items]).sum(dim=1)
        everywhere = ((Z.T @ Z) * (self.V.T @ self.V)).sum()
        return (dropped * (x - s) ** 2).sum() + self._p * (everywhere - (s**2).sum())
