"""PyTorch, which only some methods need: an extra of the installation."""

from enum import StrEnum
from importlib.util import find_spec

from edlae_sweeps.errors import ConfigError, MissingExtra


class Device(StrEnum):
    """Where PyTorch computes."""

    cpu = "cpu"
    cuda = "cuda"


def require_torch(method: str, device: Device) -> None:
    """Raise MissingExtra where PyTorch is not installed, ConfigError where it has no such device."""
    if find_spec("torch") is None:
        raise MissingExtra(f"method={method} needs PyTorch, an extra: pip install 'edlae_sweeps[torch]'")
    if device == Device.cuda:
        import torch

        if not torch.cuda.is_available():
            raise ConfigError("method.device=cuda: PyTorch finds no such device here; choose method.device=cpu")
