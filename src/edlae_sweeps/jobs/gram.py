"""Whether a job has its Gram matrix as a dense array or as products, by memory and time."""

import logging
from dataclasses import dataclass, replace

from edlae_sweeps.datasets import TrainingData
from edlae_sweeps.errors import ConfigError
from edlae_sweeps.jobs.limits import memory_needed
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
    """What a fit of all ranks takes: the peak of the process in bytes, and nominal seconds, its evaluation left out."""

    bytes: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.bytes / GIB:,.1f} GiB and {self.seconds:,.0f} s"


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

    auto is dense wherever a dense fit fits into memory and takes up to an hour, else what fits or is quicker.
    """
    try:
        settings.method.check_products(settings.ranks())
    except ConfigError as error:
        return "dense", str(error)
    dense, products = (_cost(settings, data, resources) for data in (training, training.with_products()))
    told = (
        f"a fit from a dense G takes about {dense}, from products about {products} (nominal times, evaluation "
        f"excluded); {resources.memory / GIB:,.1f} GiB are available"
    )
    if settings.gram != "auto":
        return settings.gram, f"as the settings say; {told}"
    good = dense.bytes <= resources.memory and dense.seconds <= max(_PATIENCE_SECONDS, products.seconds)
    return ("dense" if good or products.bytes > resources.memory else "products"), told


def _cost(settings: Settings, data: TrainingData, resources: Resources) -> _Cost:
    ranks = settings.ranks()
    estimate = settings.method.estimate(data, ranks, resources)
    seconds = estimate.products * data.n_items**3 / _DENSE_RATE + estimate.seconds
    return _Cost(memory_needed(settings, ranks, data, resources), seconds)
