"""PyTorch, an extra that only some methods need, and the options of training with it."""

from dataclasses import dataclass
from importlib.util import find_spec
from typing import ClassVar

from edlae_sweeps.errors import ConfigError, MissingExtra
from edlae_sweeps.methods.base import Method, S
from edlae_sweeps.methods.shared import Seeded
from edlae_sweeps.resources import Device


@dataclass(frozen=True, kw_only=True, repr=False)
class Trained(Seeded, Method[S]):
    """A method that PyTorch trains by epochs, each rank on its own.

    epochs         at most
    batch          users of a batch
    learning_rate  of Adam at the start, above 0 and up to 1
    seed           of all random draws
    """

    limit: ClassVar[None] = None
    log_scale: ClassVar[frozenset[str]] = frozenset({"learning_rate"})

    epochs: int = 100
    batch: int = 500
    learning_rate: float = 0.003

    @property
    def nested(self) -> bool:
        return False

    def check(self) -> None:
        super().check()
        for key in ("epochs", "batch"):
            if getattr(self, key) < 1:
                raise ConfigError(f"method.{key}={getattr(self, key)}: choose 1 or more")
        if not 0 < self.learning_rate <= 1:
            raise ConfigError(f"method.learning_rate={self.learning_rate}: choose a number above 0, up to 1")

    def require(self, device: Device) -> None:
        if find_spec("torch") is None:
            raise MissingExtra(f"method={self.name} needs PyTorch, an extra: pip install 'edlae_sweeps[torch]'")
        super().require(device)
