"""What a method is: options, two steps and an estimate.

`prepare` does the work that all ranks share, once for each (λ, p); `fit` makes the model of one rank from its state.
Both take what they need from the training data: X, or G = XᵀX.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Generic, Self, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from edlae_sweeps.datasets import Advance, TrainingData
from edlae_sweeps.errors import ConfigError
from edlae_sweeps.linalg import Array, check_device, on_cpu, settle, with_fallback
from edlae_sweeps.methods.about import Estimate, Look, Rank, largest_rank
from edlae_sweeps.models import FullRank, Model
from edlae_sweeps.options import Options
from edlae_sweeps.resources import Device, Resources

Vector = NDArray[np.float64]
# Called with the model of each epoch; its time does not count as time of the fit.
Observe = Callable[[Model], None]
# A SciPy sparse matrix or array, or a dense array.
Matrix = Any


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class State:
    """What the ranks of one fit share: the data, diag Λ (n,), and the largest low rank that it was prepared for."""

    data: TrainingData
    penalty: Vector
    max_rank: int
    resources: Resources

    @property
    def gram(self) -> Array:
        """G (n, n) on the device of the state."""
        return self.data.gram_on(self.resources.device)

    @property
    def edlae(self) -> FullRank | None:
        """The full-rank EDLAE model that the method approximates, if there is one and the state holds it (Eq. 11).

        Its B is on the device of the state.
        """
        return None

    def become(self, other: "State") -> None:
        """Take over what another state of the same class holds: the CPU's, where a GPU was too small for a fit.

        It changes a frozen object, so that the next rank neither tries the GPU again nor repeats the factorisation.
        """
        self.__dict__.update(other.__dict__)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.data!r}, max_rank={self.max_rank})"

    def training_metrics(self, model: Model) -> Mapping[str, float]:
        """How well a model fits the training data: `squared_error`, and `objective` (Eq. 7), where they are defined."""
        return model.training_metrics(self.data.operator(self.resources), self.penalty)


S = TypeVar("S", bound=State)


@dataclass(frozen=True, kw_only=True, repr=False)
class Method(Options, ABC, Generic[S]):
    """Options and algorithm of one method; `name` is its choice in `method=NAME`."""

    prefix: ClassVar[str] = "method."
    name: ClassVar[str]
    look: ClassVar[Look]
    # Options that a search varies on a logarithmic scale.
    log_scale: ClassVar[frozenset[str]] = frozenset({"l2", "omega"})
    # The method that supplies the `rank=full` model; None if there is no full rank.
    limit: ClassVar[str | None]
    # Whether low ranks can be fitted from products with G alone, and the options that matter only there.
    by_products: ClassVar[bool] = False
    product_options: ClassVar[frozenset[str]] = frozenset()

    # Whether Eq. 7 is what the method minimises: `certificate` is for these.
    minimises_eq7: ClassVar[bool] = False
    # Whether it also needs all of its memory on the CPU when it computes on a device.
    host_arrays: ClassVar[bool] = False

    @property
    def on_device(self) -> bool:
        """Whether the method computes on the device of the resources."""
        return True

    @property
    def nested(self) -> bool:
        """Whether the models of all ranks are columns of one: one state serves them at no further cost."""
        return True

    def prepare(
        self,
        data: TrainingData,
        max_rank: int,
        resources: Resources | None = None,
        advance: Advance | None = None,
    ) -> S:
        """The state that ranks up to `max_rank`, and `full` if the method has it, share. 0 asks for `full` alone.

        `advance(done, total)` follows what can be counted, which is the columns that are solved with products. Arrays
        of `data` are the same afterwards as before. Raises ConfigError for a rank that the data can't have,
        SolverError if the linear algebra breaks down.
        """
        if type(max_rank) is not int or not 0 <= max_rank <= data.n_items:
            raise ConfigError(
                f"max_rank={max_rank}: choose a whole number from 0 to {data.n_items}, the number of items"
            )
        scaled = self.scaled(data)
        if scaled is not self:
            return scaled.prepare(data, max_rank, resources, advance)
        if data.by_products:
            self.check_products([max_rank or "full"])
        resources = self.settled(data, resources or Resources.here())
        with resources.limit_threads():
            return with_fallback(
                resources, lambda using: self._prepare(data, max_rank, using, advance), data.leave_device
            )

    def fit(
        self,
        data: S | TrainingData | Matrix,
        rank: Rank,
        *,
        item_names: Sequence[Any] | NDArray[Any] | None = None,
        resources: Resources | None = None,
        advance: Advance | None = None,
        observe: Observe | None = None,
    ) -> Model:
        """The model of one rank.

        `data` is a state from `prepare`, TrainingData, or X (m, n): any SciPy sparse matrix or array, or a dense one,
        with optional `item_names` (n,). `advance(done, total)` follows the epochs, if there are any, and `observe` is
        called with the model of each.

        Raises ConfigError for a rank that the method does not have or that the state was not prepared for, and for a
        state of another λ or p.
        """
        # An index of NumPy is a rank too.
        rank = int(rank) if isinstance(rank, np.integer) else rank
        self.check_rank(rank)
        state = self._state(data, [rank], item_names, resources)
        if rank != "full" and rank > state.max_rank:
            raise ConfigError(
                f"rank={rank}: this state was prepared for ranks up to {state.max_rank}; prepare with max_rank={rank}"
            )
        scaled = self.scaled(state.data)
        if scaled is not self:
            return scaled.fit(state, rank, resources=resources, advance=advance, observe=observe)
        self.check_state(state)
        if state.data.by_products:
            self.check_products([rank])

        def work(using: Resources) -> Model:
            if using != state.resources:
                state.become(self.prepare(state.data, state.max_rank, using))
            return self._fit(state, rank, advance, observe)

        with state.resources.limit_threads():
            model = with_fallback(state.resources, work, state.data.leave_device)
        return model.described(state.data.item_names, state.data.item_counts)

    def fit_ranks(
        self,
        data: S | TrainingData | Matrix,
        ranks: Sequence[Rank],
        *,
        item_names: Sequence[Any] | NDArray[Any] | None = None,
        resources: Resources | None = None,
    ) -> dict[Rank, Model]:
        """The model of each rank, from data as of `fit`; nested ranks share the whole computation."""
        ranks = [int(rank) if isinstance(rank, np.integer) else rank for rank in ranks]
        for rank in ranks:
            self.check_rank(rank)
        state = self._state(data, ranks, item_names, resources)
        return {rank: self.fit(state, rank) for rank in ranks}

    def _state(self, data: Any, ranks: Sequence[Rank], names: Any, resources: Resources | None) -> S:
        """`data` itself if it is a state, else a new one for these ranks."""
        if names is not None and isinstance(data, State | TrainingData):
            raise ConfigError("item_names: these data have names of their own; give the names to TrainingData")
        if isinstance(data, State):
            return cast(S, data)
        training = data if isinstance(data, TrainingData) else TrainingData(data, item_names=names)
        return self.prepare(training, largest_rank(ranks), resources)

    def check_state(self, state: State) -> None:
        """Raise ConfigError for a state that was prepared with other values of what it depends on."""

    @abstractmethod
    def _prepare(self, data: TrainingData, max_rank: int, resources: Resources, advance: Advance | None) -> S:
        """`prepare`, arguments checked."""

    @abstractmethod
    def _fit(self, state: S, rank: Rank, advance: Advance | None, observe: Observe | None) -> Model:
        """`fit` from a state, arguments checked."""

    @abstractmethod
    def estimate(self, data: TrainingData, ranks: Sequence[Rank], resources: Resources) -> Estimate:
        """What `prepare` and `fit` of these ranks are expected to take."""

    def require(self, device: Device) -> None:
        """Raise MissingExtra or ConfigError if this installation or machine lacks what the method needs."""
        if not self.on_device and device not in ("cpu", "auto"):
            raise ConfigError(f"device={device}: {self.name} runs on the CPU; choose device=cpu")
        check_device(device)

    def settled(self, data: TrainingData, resources: Resources) -> Resources:
        """The resources with the device that this method uses for these data."""
        if data.by_products and resources.device not in ("cpu", "auto"):
            raise ConfigError(f"device={resources.device}: gram=products runs on the CPU; choose device=cpu")
        self.require(resources.device)
        return settle(resources) if self.on_device and not data.by_products else on_cpu(resources)

    def scaled(self, data: TrainingData) -> Self:  # noqa: ARG002 - some options depend on it
        """The method with the options that it takes from the data, where they are None; itself if there are none."""
        return self

    def params(self, products: bool = False) -> dict[str, Any]:
        """The options that determine the model, as JSON has them: `product_options` only if G is given as products."""
        options = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        return {name: value for name, value in options.items() if products or name not in self.product_options}

    def check_products(self, ranks: Sequence[Rank]) -> None:
        """Raise ConfigError unless these ranks can be fitted from products with G."""
        if not self.by_products:
            raise ConfigError(
                f"gram=products: method={self.name} needs G as a dense array; choose gram=dense, or method=closed, "
                "unconstrained, relaxed, deql or svd"
            )
        if "full" in ranks:
            raise ConfigError(
                "rank=full: the full-rank model is an n×n array, which gram=products avoids; choose a whole number, or "
                "gram=dense"
            )

    def check_rank(self, rank: Rank) -> None:
        """Raise ConfigError for a rank that this method does not have."""
        if rank == "full" and self.limit is None:
            raise ConfigError(f"rank=full: {self.name} has low ranks only; choose a whole number, or another method")
        if rank != "full" and (type(rank) is not int or rank < 1):
            raise ConfigError(f"rank={rank}: choose a whole number from 1 to the number of items, or full")
