"""Models: what remains of a fit, and scores, recommends, saves and loads without the rest."""

from edlae_sweeps.models.base import Model, Recommendation
from edlae_sweeps.models.cosine import Cosine
from edlae_sweeps.models.factorisation import Factorisation
from edlae_sweeps.models.files import load_model, model_place
from edlae_sweeps.models.folder import read_array, write_array
from edlae_sweeps.models.full_rank import FullRank
from edlae_sweeps.models.low_rank import LowRank
from edlae_sweeps.models.names import NameIndex
from edlae_sweeps.models.network import Activation, Encoder, Layer, Network
from edlae_sweeps.models.objective import TrainingFit
from edlae_sweeps.models.records import Ended, Epochs, Passes, Polished, Record, Solved, SolvedByProducts, Trials

__all__ = [
    "Activation",
    "Cosine",
    "Encoder",
    "Ended",
    "Epochs",
    "Factorisation",
    "FullRank",
    "Layer",
    "LowRank",
    "Model",
    "NameIndex",
    "Network",
    "Passes",
    "Polished",
    "Recommendation",
    "Record",
    "Solved",
    "SolvedByProducts",
    "TrainingFit",
    "Trials",
    "load_model",
    "model_place",
    "read_array",
    "write_array",
]
