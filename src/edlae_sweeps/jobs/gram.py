"""Whether a job has its Gram matrix as a dense array or as products, by memory and time."""

import logging
from dataclasses import replace

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


def settle_gram(settings: Settings, training: TrainingData, resources: Resources) -> tuple[Settings, TrainingData]:
    """Settings with `gram` decided, and training data to match; one line says what was decided and why.

    Raises ConfigError for gram=products with a method or a rank that can't do with it.
    """
    kind, reason = choose_gram(settings, training, resources)
    if kind == "products":
        training = training.with_products()
        _log.info("gram=products: %s", reason)
    return replace(settings, gram=kind), training


def choose_gram(settings: Settings, training: TrainingData, resources: Resources) -> tuple[GramKind, str]:
    """The kind, never auto, and the reason.

    auto is dense wherever a dense fit fits into memory and takes up to an hour, else what fits or is quicker.
    """
    if settings.gram != "auto":
        return settings.gram, "as the settings say"
    ranks = settings.ranks()
    try:
        settings.method.check_products(ranks)
    except ConfigError as error:
        return "dense", str(error)

    def fit(data: TrainingData) -> tuple[int, float]:
        estimate = settings.method.estimate(data, ranks, resources)
        seconds = estimate.products * data.n_items**3 / _DENSE_RATE + estimate.seconds
        return memory_needed(settings, ranks, data, resources), seconds

    dense_bytes, dense_seconds = fit(training)
    fits = dense_bytes <= resources.memory
    if fits and dense_seconds <= _PATIENCE_SECONDS:
        return "dense", "the quick and exact way"
    bytes_, seconds = fit(training.with_products())
    told = (
        f"a dense G takes about {dense_bytes / GIB:,.1f} GiB and {dense_seconds:,.0f} s, "
        f"products about {bytes_ / GIB:,.1f} GiB and {seconds:,.0f} s"
    )
    products = bytes_ <= resources.memory and (not fits or seconds < dense_seconds)
    return ("products" if products else "dense"), f"{told}; {resources.memory / GIB:,.1f} GiB are available"
