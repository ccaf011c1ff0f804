"""The metric by which runs were selected, from the conditions of the selection."""

from __future__ import annotations

import pytest

from qualia_lab.study import StudySettings
from qualia_lab.study.choice import chosen_by_metric
from tests.planted.run_rules import find
from tests.planted.store import PlantedStore, Run

KEYS = {"val_auc", "loss"}


@pytest.mark.parametrize(
    ("conditions", "metric"),
    [
        ({}, None),
        ({"by": "val_auc:max"}, None),  # an order does not exclude runs
        ({"by": "val_auc:max", "top": 12}, "val_auc"),
        ({"order_by": ["metrics.loss ASC"], "limit": 5}, "loss"),
        ({"order_by": ["start_time DESC"], "limit": 5}, None),
        ({"filter": "params.lr = '0.1' AND metrics.`val/acc` > 0.8"}, "val/acc"),
        ({"filter": "params.metrics = 'x'"}, None),
        ({"where": ["lr=0.1", "val_auc>0.8"]}, "val_auc"),
        ({"where": ["lr=0.1"], "experiments": ["metrics.x"]}, None),
    ],
)
def test_the_metric_by_which_runs_were_selected_is_detected(conditions, metric):
    assert chosen_by_metric(conditions, KEYS) == metric


def test_means_of_runs_selected_by_a_metric_are_flagged_as_biased():
    runs = [
        Run(f"{model}-{seed}", {"model": model, "seed": seed}, {"val_auc": level + seed / 100})
        for model, level in (("a", 0.8), ("b", 0.7)) for seed in range(4)
    ]  # fmt: skip
    store = PlantedStore({"e": runs})

    def answer(**chosen_by):
        settings = StudySettings(chosen_by=chosen_by)
        return next(one.sentence for one in find(store, settings) if one.rule == "best_configuration")

    caveat = "These runs were selected by val_auc: only the better runs of a configuration may be included."
    assert answer(by="val_auc", top=8).endswith(caveat)
    assert caveat not in answer(experiments=["e"])
