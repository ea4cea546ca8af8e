"""Methods trained by gradients, with the extra `torch`."""

from edlae_sweeps.methods.neural.deep import Deep
from edlae_sweeps.methods.neural.denoising import Denoising
from edlae_sweeps.methods.neural.elsa import Elsa

__all__ = ["Deep", "Denoising", "Elsa"]
