"""What a notebook does, from data to a saved model."""

FITTED = """
from pathlib import Path
from edlae_sweeps.datasets import Synthetic, TrainingData, load
from edlae_sweeps.evaluation import evaluate
from edlae_sweeps.methods import Admm, Closed
from edlae_sweeps.models import load_model

data = load(Synthetic(n_users=400, n_items=1100, mean_events=12, topics=5, heldout_users=50), Path("cache"))
models = Closed(l2=10, dropout=0.1).fit_ranks(data.train, [5, "full"], item_names=data.item_names)
basket = data.item_names[:3].tolist()
for model in [*models.values(), Admm(l2=10, epochs=2).fit(TrainingData(data.train, item_names=data.item_names), 5)]:
    assert 0 < evaluate(model, data.test).summary()["ndcg_100"] < 1
    again = load_model(model.save("model.npz"))
    assert again.recommend(basket, k=5) == model.recommend(basket, k=5)
    assert len(again.similar(basket[0])) > 0
Closed(l2=10).fit(TrainingData(data.train, by_products=True), 5)
"""
