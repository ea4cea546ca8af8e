"""The training of ELSA, with PyTorch; imported only to fit."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch.nn.functional import normalize

from edlae_sweeps.linalg.torch_sparse import rows_product
from edlae_sweeps.methods.neural.gradient import batches, place
from edlae_sweeps.resources import Resources


class UnitRows:
    """A (n, k) in training: the rows of a free matrix, divided by their lengths."""

    def __init__(self, X: csr_array, k: int, batch: int, rate: float, seed: int, resources: Resources) -> None:
        self._X, self._batch = X, batch
        self._device = place(resources)
        self._random = np.random.default_rng(seed)
        # As published (Glorot). Only the directions of the rows matter, and how far a step turns them.
        reach = np.sqrt(6 / (X.shape[1] + k))
        start = self._random.uniform(-reach, reach, (X.shape[1], k)).astype(X.dtype)
        self._free = torch.tensor(start, device=self._device, requires_grad=True)
        self._nadam = torch.optim.NAdam([self._free], lr=rate)

    def epoch(self) -> float:
        """One pass over the users, in a new order; the mean loss of the batches as they were met."""
        X, total = self._X[self._random.permutation(self._X.shape[0])], 0.0
        for rows in batches(X.shape[0], self._batch):
            self._nadam.zero_grad()
            loss = self.loss(X[rows])
            loss.backward()
            self._nadam.step()
            total += loss.item() * (rows.stop - rows.start)
        return float(total / X.shape[0])

    def loss(self, X: csr_array) -> torch.Tensor:
        """The mean over users X (b, n) of ‖y/‖y‖ − x/‖x‖‖², y = max(0, x(AAᵀ − I)). A vector of zeros stays one."""
        A, x = normalize(self._free), torch.from_numpy(X.toarray()).to(self._device)
        y = torch.relu(rows_product(X, A) @ A.T - x)
        return (normalize(y) - normalize(x)).square().sum() / X.shape[0]

    def matrix(self) -> NDArray[np.floating]:
        """A as it is now."""
        with torch.no_grad():
            A: NDArray[np.floating] = normalize(self._free).to("cpu").numpy()
        return A
