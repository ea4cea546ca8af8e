"""Whether a job has its Gram matrix as a dense array or as products, by memory and time."""

import logging
from dataclasses import dataclass, replace

from edlae_sweeps.datasets import TrainingData
from edlae_sweeps.errors import ConfigError
from edlae_sweeps.jobs.limits import arrays_needed, device_need, fits_on_device, memory_needed
from edlae_sweeps.linalg import backend_for, on_cpu
from edlae_sweeps.resources import GIB, Resources
from edlae_sweeps.settings import GramKind, Settings

_log = logging.getLogger(__name__)
# Multiplications per second of an n×n×n product, in float32 on two cores at n = 20,108. It is a constant, since results
# must not depend on how fast the machine is at the moment.
_DENSE_RATE = 1.5e11
# A dense fit that fits into memory and takes no longer than this is not worth an approximation.
_PATIENCE_SECONDS = 3600


@dataclass(frozen=True)
class _Cost:
    """What a fit of all ranks takes, its evaluation left out: bytes of its arrays on the GPU with this name, or else
    the peak of the process; and nominal seconds on two cores.
    """

    bytes: int
    seconds: float
    gpu: str = ""

    def __str__(self) -> str:
        memory = f"{self.bytes / GIB:,.1f} GiB"
        return f"{memory} on {self.gpu}" if self.gpu else f"{memory} and {self.seconds:,.0f} s"


def settle_gram(settings: Settings, training: TrainingData, resources: Resources) -> tuple[Settings, TrainingData]:
    """Settings with `gram` decided, and training data to match.

    One line says why it is products; a dry run says what both take, where there is a choice. Raises ConfigError for
    gram=products with a method or a rank that can't do with it.
    """
    kind, reason = choose_gram(settings, training, resources)
    if kind == "products" or (settings.dry_run and settings.method.by_products):
        _log.info("gram=%s: %s", kind, reason)
    return replace(settings, gram=kind), training.with_products() if kind == "products" else training


def choose_gram(settings: Settings, training: TrainingData, resources: Resources) -> tuple[GramKind, str]:
    """The kind, never auto, and the reason with the costs of both.

    auto is dense wherever a dense fit fits onto the GPU, or fits into memory and takes up to an hour on the CPU, else
    what fits or is quicker. Raises ConfigError if only products fit and `device` names a GPU, which has none.
    """
    if settings.certificate:
        return "dense", "certificate=true needs it"
    try:
        settings.method.check_products(settings.ranks())
    except ConfigError as error:
        return "dense", str(error)
    device = settings.method.settled(training, resources)
    gpu = device.device_memory is not None and fits_on_device(settings, training, device)
    dense = _cost(settings, training, device if gpu else on_cpu(device))
    products = _cost(settings, training.with_products(), on_cpu(resources))
    told = (
        f"a fit from a dense G takes about {dense}, from products about {products} (nominal times, evaluation "
        f"excluded); {resources.memory / GIB:,.1f} GiB are available"
    )
    if settings.gram != "auto":
        return settings.gram, f"as the settings say; {told}"
    fits = dense.bytes <= resources.memory
    if gpu or products.bytes > resources.memory or (fits and dense.seconds <= max(_PATIENCE_SECONDS, products.seconds)):
        return "dense", told
    if not (device.device == "cpu" or device.may_fall_back or fits):
        raise ConfigError(
            f"{device_need(settings, training, device)}: choose device=cpu or device=auto, where gram=products would "
            "fit, or a smaller rank"
        )
    return "products", told


def _cost(settings: Settings, data: TrainingData, resources: Resources) -> _Cost:
    ranks = settings.ranks()
    estimate = settings.method.estimate(data, ranks, resources)
    seconds = estimate.products * data.n_items**3 / _DENSE_RATE + estimate.seconds
    if resources.device_memory is not None:
        return _Cost(arrays_needed(settings, ranks, data, resources), seconds, backend_for(resources.device).name)
    return _Cost(memory_needed(settings, ranks, data, resources), seconds)
