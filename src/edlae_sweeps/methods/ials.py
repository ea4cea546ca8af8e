"""Matrix factorisation of implicit feedback by alternating least squares (Hu, Koren & Volinsky 2008)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import ClassVar

import numpy as np
from scipy.sparse import csr_array, csr_matrix

from edlae_sweeps.datasets import Advance, TrainingData
from edlae_sweeps.errors import ConfigError, MissingExtra, SolverError
from edlae_sweeps.imports import override
from edlae_sweeps.methods.about import Estimate, Look, Rank, largest_rank, low_ranks
from edlae_sweeps.methods.base import Method, Observe, State
from edlae_sweeps.methods.clock import Clock
from edlae_sweeps.methods.shared import Seeded
from edlae_sweeps.models import Factorisation, Model, Passes
from edlae_sweeps.models.objective import inner, row_blocks
from edlae_sweeps.resources import Device, Resources, limited_threads

# Seconds of an epoch on two cores: for each user or item and square of the rank, and for each event and rank.
_SECONDS_PER_SQUARE, _SECONDS_PER_EVENT = 3e-10, 4e-9
# Training users whose hidden units are in memory at a time.
_ROWS = 4096
# Far beyond this weight or λ float32 overflows.
_MOST = 1e15


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class IalsState(State):
    """Nothing but the data: every rank is trained on its own."""

    @override
    def training_metrics(self, model: Model) -> dict[str, float]:
        """`squared_error`, ‖X − ZVᵀ‖² for the hidden units Z of the training users, computed anew from their items.

        tr G − 2⟨Z, XV⟩ + ⟨ZᵀZ, VᵀV⟩, summed in float64.
        """
        halves, X = model.halves(), self.data.X
        if halves is None:
            raise ValueError(f"{model!r} is no factorisation")
        encode, V = halves
        ZtZ, cross = np.zeros((V.shape[1], V.shape[1])), 0.0
        for rows in row_blocks(X.shape[0], _ROWS):
            Z = encode(X[rows])
            cross += inner(Z, X[rows] @ V)
            ZtZ += Z.T @ Z
        return {"squared_error": float(self.data.item_counts.sum()) - 2 * cross + inner(ZtZ, V.T @ V)}


@dataclass(frozen=True, kw_only=True, repr=False)
class Ials(Seeded, Method[IalsState]):
    """Minimises over user factors P (m, k) and item factors F (n, k), with the library `implicit`,

        Σ_{ui: x≠0} α(1 − p_u·f_i)² + Σ_{ui: x=0} (p_u·f_i)² + λ(‖P‖² + ‖F‖²)

    An epoch solves for all users and then for all items, by three steps of conjugate gradients from the last epoch's
    solution, in O((m + n)k² + events·k). The library's λ is the same for all users and items; Rendle et al. (2022)
    scale it with their numbers of events.

    The model has the items alone: a user's factors are the exact solution for the items of the user, whether or not
    the user was among the training users. The training error is that of these solutions. Eq. 7 does not apply: scores
    are not linear in X.

    l2      λ > 0
    alpha   α > 0, the weight of an observed entry; that of any other is 1
    epochs  all are run
    seed    of the random start
    """

    name: ClassVar[str] = "ials"
    limit: ClassVar[None] = None
    log_scale: ClassVar[frozenset[str]] = frozenset({"l2", "alpha"})
    look: ClassVar[Look] = Look("iALS", {"color": "saddlebrown", "linestyle": (0, (3, 1, 1, 1)), "marker": "D"})

    l2: float = 100.0
    alpha: float = 30.0
    epochs: int = 15

    @property
    def on_device(self) -> bool:
        return False

    @property
    def nested(self) -> bool:
        return False

    def check(self) -> None:
        super().check()
        for key in ("l2", "alpha"):
            if not 0 < getattr(self, key) <= _MOST:
                raise ConfigError(f"method.{key}={getattr(self, key)}: choose a number above 0, up to {_MOST:g}")
        if self.epochs < 1:
            raise ConfigError(f"method.epochs={self.epochs}: choose 1 or more")

    def require(self, device: Device) -> None:
        if find_spec("implicit") is None:
            raise MissingExtra("method=ials needs the library implicit, an extra: pip install 'edlae_sweeps[implicit]'")
        super().require(device)

    @override
    def _prepare(self, data: TrainingData, max_rank: int, resources: Resources, advance: Advance | None) -> IalsState:
        if max_rank == 0:
            self.check_rank("full")
        return IalsState(data=data, penalty=np.zeros(data.n_items), max_rank=max_rank, resources=resources)

    @override
    def _fit(self, state: IalsState, rank: Rank, advance: Advance | None, observe: Observe | None) -> Factorisation:
        # An extra.
        from implicit.cpu.als import AlternatingLeastSquares
        from implicit.recommender_base import ModelFitError

        (k,) = low_ranks([rank])
        seconds, clock = list[float](), Clock()

        def model() -> Factorisation:
            return Factorisation.of(als.item_factors, self.l2, self.alpha)

        def after(epoch: int, _seconds: float, _loss: float | None) -> None:
            seconds.append(clock.elapsed())
            with clock.paused():
                if observe is not None:
                    observe(model())
                if advance is not None:
                    advance(epoch + 1, self.epochs)

        # The library's threads are its own: it is slow, and warns, beside threads of the BLAS.
        with limited_threads(1, "blas"):
            als = AlternatingLeastSquares(
                factors=k,
                regularization=self.l2,
                alpha=self.alpha,
                dtype=state.data.dtype,
                iterations=self.epochs,
                num_threads=state.resources.threads,
                random_state=self.seed,
            )
            try:
                als.fit(_observed(state.data.X), show_progress=False, callback=after)
            except ModelFitError as error:
                raise SolverError(f"ials: {error}; raise method.l2, or choose dtype=float64") from error
        return replace(model(), record=Passes(tuple(seconds)))

    @override
    def estimate(self, data: TrainingData, ranks: Sequence[Rank], resources: Resources) -> Estimate:
        """Memory: G; three copies of X in float32; P and F, and while they start one of them twice, or V in float64."""
        (m, n), k, itemsize = data.shape, largest_rank(ranks), data.dtype.itemsize
        peak = n * n * itemsize + 3 * 8 * data.events + (m + n) * k * itemsize
        peak += max(max(m, n) * itemsize, n * (2 * 8 + itemsize)) * k + 2 * 8 * k * k
        low = low_ranks(ranks)
        seconds = sum(_SECONDS_PER_SQUARE * (m + n) * k * k + _SECONDS_PER_EVENT * data.events * k for k in low)
        return Estimate(0.0, float(self.epochs * seconds), peak, sum(n * k for k in low) * itemsize)


def _observed(X: csr_array) -> csr_matrix:
    """1 at each entry of X, in the type and class that the library takes."""
    return csr_matrix((np.ones(X.nnz, dtype=np.float32), X.indices, X.indptr), shape=X.shape)
