"""Names of metrics: each is parsed to what it measures, and back."""

import pytest

from edlae_sweeps.errors import ConfigError
from edlae_sweeps.evaluation import COMMON, METRICS, Metric, is_metric, metric_label


@pytest.mark.parametrize(
    ("name", "metric", "label"),
    [
        ("ndcg_100", Metric("ndcg", 100), "nDCG@100"),
        ("recall_1", Metric("recall", 1), "Recall@1"),
        ("ndcg_10_head", Metric("ndcg", 10, "head"), "head nDCG@10"),
        ("recall_50_tail", Metric("recall", 50, "tail"), "tail Recall@50"),
        ("ndcg_99_unbiased", Metric("ndcg", 99, "unbiased"), "unbiased nDCG@99"),
        ("coverage_100", Metric("coverage", 100), "coverage@100"),
        ("gini_7", Metric("gini", 7), "Gini@7"),
    ],
)
def test_a_name_says_what_is_measured(name, metric, label):
    assert Metric.parse(name) == metric
    assert (metric.name, metric_label(name)) == (name, label)
    assert is_metric(name)


@pytest.mark.parametrize(
    "name",
    ["ndcg", "ndcg_0", "ndcg_101", "ndcg_010", "ndcg_10_", "ndcg_10_body", "coverage_10_tail", "gini_", "map_10",
     "NDCG_10", "ndcg_10\n", "", "users", "ndcg_100_se"],
)  # fmt: skip
def test_other_names_are_refused_with_the_forms_that_there_are(name):
    assert not is_metric(name)
    with pytest.raises(ConfigError) as caught:
        Metric.parse(name, "tune.metric")
    text = str(caught.value)
    assert text.startswith(f"tune.metric={name}: choose ndcg_R or recall_R with R from 1 to 100")
    assert all(form in text for form in ("_head", "_tail", "_unbiased", "coverage_R", "gini_R"))


def test_more_is_better_but_for_gini():
    assert [Metric.parse(name).score(0.3) for name in ("recall_20", "coverage_20", "gini_20")] == [0.3, 0.3, -0.3]


def test_common_names_are_names_and_the_defaults_come_first():
    assert COMMON[: len(METRICS)] == METRICS
    assert all(map(is_metric, COMMON))
    assert len(set(COMMON)) == len(COMMON)
