"""The same asked of several experiments: what counts there is rarer, and what more repeats would tell needs more."""

from __future__ import annotations

import numpy as np
import pytest

from qualia_lab.analysis.best_of import ALPHA
from qualia_lab.analysis.effects import AskedCrossings, Crossing, Effect, clear_crossings, clear_effects
from qualia_lab.analysis.over_tasks import limit_over_tasks
from qualia_lab.analysis.selected_power import needed_among
from qualia_lab.study.one_factor import OneFactor

from .described import evidence_of
from .test_answer import repeated

FACTOR = OneFactor("lr", (), ("0.1", "0.01"), ())


def effect(p, better="0.1", worse="0.01"):
    """Better in both of two contexts."""
    return Effect(FACTOR, better, worse, ((None, None), (None, None)), 1.0, 0.5, 1.5, 2, p)


def test_one_task_is_asked_at_alpha_and_of_several_the_smallest_p_at_its_share():
    assert limit_over_tasks([], 0.05) == limit_over_tasks([0.04], 0.05) == limit_over_tasks([1.0], 0.05) == 0.05
    assert limit_over_tasks([0.02, 1.0, 1.0, 1.0, 1.0], 0.05) == pytest.approx(0.01)
    assert limit_over_tasks([0.009, 0.019, 0.031, 1.0, 1.0], 0.05) == pytest.approx(0.02)


def test_a_task_that_does_not_count_yet_would_count_at_the_next_share():
    assert limit_over_tasks([1.0, 1.0, 1.0], 0.03, another=True) == pytest.approx(0.01)
    assert limit_over_tasks([0.005, 1.0, 1.0], 0.03, another=True) == pytest.approx(0.02)
    assert limit_over_tasks([0.001] * 3, 0.03, another=True) == pytest.approx(0.03)


@pytest.mark.parametrize("tasks", [2, 4, 8, 40])
def test_where_nothing_differs_in_any_task_something_counts_in_alpha_of_cases(tasks):
    ps = np.random.default_rng(tasks).uniform(size=(4000, tasks))
    wrong = np.mean([min(row) <= limit_over_tasks(row.tolist(), 0.05) for row in ps])
    assert 0.04 <= wrong <= 0.06


def test_an_effect_that_is_clear_in_one_experiment_is_not_among_eight_where_nothing_else_is():
    assert len(clear_effects({"0": [effect(0.004)]}, 0.01)["0"]) == 1
    level = {str(task): [effect(0.5)] for task in range(1, 8)}
    assert not any(clear_effects({"0": [effect(0.004)], **level}, 0.01).values())
    assert len(clear_effects({"0": [effect(0.001)], **level}, 0.01)["0"]) == 1
    nothing_to_compare = {str(task): [] for task in range(1, 8)}
    assert len(clear_effects({"0": [effect(0.004)], **nothing_to_compare}, 0.01)["0"]) == 1


def test_a_crossing_that_is_clear_in_one_experiment_is_not_among_eight_where_nothing_else_is():
    crossing = Crossing("depth", ("1", effect(0.002)), ("2", effect(0.002, "0.01", "0.1")))
    one = {"0": AskedCrossings(2, (crossing,))}
    assert clear_crossings(one, 0.01) == {"0": [crossing]}
    assert not any(clear_crossings({**one, **{str(n): AskedCrossings(2, ()) for n in range(1, 8)}}, 0.01).values())


def test_the_n_that_is_needed_is_that_of_the_experiments_that_are_there():
    stores = {name: repeated({f"{name}a": 0.9, f"{name}b": 0.9}, 4, seed=place) for place, name in enumerate("uvwxy")}
    [alone] = evidence_of(stores["u"]).answers.values()
    answers = evidence_of(stores).answers
    of_five = next(iter(answers.values()))
    assert not any(one.apart for one in answers.values())
    assert alone.needed == needed_among(1.0, 2) < of_five.needed == needed_among(1.0, 2, ALPHA / 2 / 5)
    assert alone.shows < of_five.shows
