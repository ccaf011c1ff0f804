"""The same tests in several experiments: a stricter limit for results, and more repeats needed."""

from __future__ import annotations

import numpy as np
import pytest

from qualia_lab.analysis.best_of import ALPHA
from qualia_lab.analysis.effects import CandidateCrossings, Crossing, Effect, clear_crossings, clear_effects
from qualia_lab.analysis.over_tasks import limit_over_tasks
from qualia_lab.analysis.selected_power import needed_among
from qualia_lab.study.one_factor import OneFactor

from .study_samples import evidence_of
from .test_answer import repeated

FACTOR = OneFactor("lr", (), ("0.1", "0.01"), ())


def effect(p, better="0.1", worse="0.01"):
    """An effect that is better in both of two contexts."""
    return Effect(FACTOR, better, worse, ((None, None), (None, None)), 1.0, 0.5, 1.5, 2, p)


def test_the_limit_is_alpha_for_one_task_and_a_share_for_several():
    assert limit_over_tasks([], 0.05) == limit_over_tasks([0.04], 0.05) == limit_over_tasks([1.0], 0.05) == 0.05
    assert limit_over_tasks([0.02, 1.0, 1.0, 1.0, 1.0], 0.05) == pytest.approx(0.01)
    assert limit_over_tasks([0.009, 0.019, 0.031, 1.0, 1.0], 0.05) == pytest.approx(0.02)


def test_the_limit_for_another_task_is_the_next_share():
    assert limit_over_tasks([1.0, 1.0, 1.0], 0.03, another=True) == pytest.approx(0.01)
    assert limit_over_tasks([0.005, 1.0, 1.0], 0.03, another=True) == pytest.approx(0.02)
    assert limit_over_tasks([0.001] * 3, 0.03, another=True) == pytest.approx(0.03)


@pytest.mark.parametrize("tasks", [2, 4, 8, 40])
def test_the_error_rate_over_tasks_is_alpha_where_nothing_differs(tasks):
    ps = np.random.default_rng(tasks).uniform(size=(4000, tasks))
    wrong = np.mean([min(row) <= limit_over_tasks(row.tolist(), 0.05) for row in ps])
    assert 0.04 <= wrong <= 0.06


def test_an_effect_clear_in_one_experiment_is_not_clear_among_eight():
    assert len(clear_effects({"0": [effect(0.004)]}, 0.01)["0"]) == 1
    level = {str(task): [effect(0.5)] for task in range(1, 8)}
    assert not any(clear_effects({"0": [effect(0.004)], **level}, 0.01).values())
    assert len(clear_effects({"0": [effect(0.001)], **level}, 0.01)["0"]) == 1
    nothing_to_compare = {str(task): [] for task in range(1, 8)}
    assert len(clear_effects({"0": [effect(0.004)], **nothing_to_compare}, 0.01)["0"]) == 1


def test_a_crossing_clear_in_one_experiment_is_not_clear_among_eight():
    crossing = Crossing("depth", ("1", effect(0.002)), ("2", effect(0.002, "0.01", "0.1")))
    one = {"0": CandidateCrossings(2, (crossing,))}
    assert clear_crossings(one, 0.01) == {"0": [crossing]}
    assert not any(clear_crossings({**one, **{str(n): CandidateCrossings(2, ()) for n in range(1, 8)}}, 0.01).values())


def test_needed_repeats_depend_on_the_number_of_experiments():
    stores = {name: repeated({f"{name}a": 0.9, f"{name}b": 0.9}, 4, seed=place) for place, name in enumerate("uvwxy")}
    [single] = evidence_of(stores["u"]).answers.values()
    answers = evidence_of(stores).answers
    one_of_five = next(iter(answers.values()))
    assert not any(one.apart for one in answers.values())
    assert (
        single.needed_repeats
        == needed_among(1.0, 2)
        < one_of_five.needed_repeats
        == needed_among(1.0, 2, ALPHA / 2 / 5)
    )
    assert single.detectable_difference < one_of_five.detectable_difference
