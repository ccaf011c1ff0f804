"""Which model is best on which dataset, near which step it was saved, and whether the champion is still the best."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from qualia_lab.analysis.champions import aliases_of, rank_champions
from qualia_lab.analysis.model_checkpoints import best_models, checkpoint_steps, saved_steps

from .genai_samples import models_of

MODELS = [{"model_id": name, "experiment_id": "1"} for name in ("m1", "m2", "m3")]


def test_the_best_model_is_that_of_the_latest_values_for_each_dataset():
    metrics = [
        ("m1", "auc", 0.99, 1, "valid"),
        ("m1", "auc", 0.8, 2, "valid"),
        ("m2", "auc", 0.9, 1, "valid"),
        ("m3", "auc", math.nan, 1, "valid"),
        ("m1", "auc", 0.7, 1, "test"),
        ("m2", "auc", 0.7, 1, "test"),
        ("m1", "loss", 0.3, 1, None),
        ("m2", "loss", 0.2, 1, None),
        ("m1", "foo", 1.0, 1, None),
        ("gone", "auc", 1.0, 1, "valid"),
    ]
    found = {(one.key, one.dataset_name): one for one in best_models(models_of(MODELS, metrics))}
    assert [(one.model_id, one.value) for one in found["auc", "valid"].ranked] == [("m2", 0.9), ("m1", 0.8)]
    assert found["auc", "valid"].not_finite == 1
    assert [one.model_id for one in found["auc", "test"].best] == ["m1", "m2"]
    assert [one.model_id for one in found["loss", ""].best] == ["m2"]
    assert found["foo", ""].best == ()
    assert {(one.key): one.greater_is_better for one in best_models(models_of(MODELS, metrics), {"foo": False})}[
        "foo"
    ] is False


@given(
    st.lists(st.tuples(st.integers(0, 30), st.floats(width=16)), max_size=20), st.lists(st.integers(0, 30), max_size=5)
)
def test_the_best_saved_step_is_never_better_than_the_best_point(points, saved):
    points.sort(key=lambda one: one[0])
    steps, values = [step for step, _ in points], [value for _, value in points]
    found = saved_steps("r", "auc", (steps, values), saved, greater_is_better=True)
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        assert found is None
        return
    assert found.best_value == max(finite)
    if found.saved_value is not None:
        assert found.saved_value <= found.best_value
        before = [value for step, value in points if step <= found.saved_step and math.isfinite(value)]
        assert found.saved_value == before[-1]


def test_runs_whose_models_all_have_step_0_recorded_no_steps():
    outputs = [{"run_id": "r", "model_id": "m1", "step": 5}, {"run_id": "r", "model_id": "m2", "step": 0}]
    outputs += [{"run_id": "s", "model_id": "m3", "step": 0}]
    assert checkpoint_steps(models_of(MODELS, outputs=outputs)) == {"r": (0, 5)}
    found = saved_steps("r", "loss", ([0, 4, 5, 9], [1.0, 0.1, 0.5, 0.4]), (0, 5), greater_is_better=False)
    assert (found.best_step, found.saved_step, found.saved_value, found.is_saved) == (4, 5, 0.5, False)


def test_a_champion_is_ranked_where_it_and_others_have_values():
    versions = [{"name": "churn", "version": number, "model_id": f"m{number}", "stage": "None"} for number in (1, 2)]
    versions += [{"name": "old", "version": 1, "stage": "Production", "model_id": None}]
    aliases = [{"name": "churn", "alias": "Champion", "version": 1}, {"name": "churn", "alias": "lost", "version": 9}]
    metrics = [("m1", "auc", 0.8, 1, "valid"), ("m2", "auc", 0.9, 1, "valid"), ("m2", "auc", 0.9, 1, "test")]
    metrics += [("m1", "loss", 0.1, 1, "valid"), ("m2", "loss", 0.2, 1, "valid")]
    tables = models_of(MODELS, metrics, versions=versions, aliases=aliases)
    found = aliases_of(tables)
    assert [(one.alias, one.model_id, one.is_champion, one.is_stage) for one in found] == [
        ("Champion", "m1", True, False),
        ("lost", "", False, False),
        ("Production", "", True, True),
    ]
    auc, loss = rank_champions(found, best_models(tables))
    assert ([one.model_id for one in auc.better], loss.better) == (["m2"], ())
