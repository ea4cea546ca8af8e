"""One small model of each kind, with random weights."""

from dataclasses import replace

import numpy as np

from edlae_sweeps.models import Cosine, Encoder, Factorisation, FullRank, Layer, LowRank, Model, Network

N, K = 7, 3
NAMES = ["plain", "it's", 'say "hi"', "a,b;c", "naïve Ωmega 日本", "<b>bold</b> & more", " space "]


def examples(dtype: str = "float32", names: list[str] | None = None) -> dict[str, Model]:
    random = np.random.default_rng(0)
    options = {} if names is None else {"item_names": np.array(names)}

    def weights(*shape: int) -> np.ndarray:
        return random.standard_normal(shape).astype(dtype)

    layers = [Layer(weights(N, 5), weights(5)), Layer(weights(5, K), weights(K))]
    models: dict[str, Model] = {
        "low rank": LowRank(weights(N, K), weights(N, K), **options),
        "full rank": FullRank(weights(N, N), random.random(N), **options),
        "network": Network(Encoder(layers, "gelu", last_linear=False), weights(N, K), **options),
    }
    rows = weights(N, K)
    return {
        **models,
        "factorisation": replace(Factorisation.of(weights(N, K), 2.0, 5.0), **options),
        "cosine": Cosine(rows / np.linalg.norm(rows, axis=1, keepdims=True), **options),
    }


KINDS = tuple(examples())
