"""What is said between two looks at runs, and what is not."""

from __future__ import annotations

from dataclasses import replace

from qualia_lab.analysis.run_events import SeenRuns, SeenTask, events_between, first_events


def seen(statuses, values=None, *, better="higher", objective="val_auc", troubles=()):
    """Runs of one task, called by their ids."""
    return SeenRuns(
        labels={run: run for run in statuses},
        statuses=statuses,
        tasks={"1": SeenTask("", objective, better, values or {})},
        task_of=dict.fromkeys(statuses, "1"),
        troubles=dict(troubles),
    )


def said(before, after):
    return [event.sentence for event in events_between(before, after)]


def test_every_change_of_a_status_is_said_once_and_nothing_else():
    before = seen({"a": "RUNNING", "b": "RUNNING", "c": "SCHEDULED", "d": "FAILED", "e": "FINISHED", "f": "RUNNING"})
    after = seen(
        {"a": "FINISHED", "b": "FAILED", "c": "RUNNING", "d": "RUNNING", "f": "KILLED", "g": "RUNNING",
         "h": "FAILED", "i": "SCHEDULED", "j": "PAUSED"}
    )  # fmt: skip
    assert said(before, after) == [
        "a finished", "b failed", "c started", "d is running again", "f was killed", "g started",
        "h is new and failed", "i is scheduled", "j is new and has the status PAUSED", "e is no longer selected",
    ]  # fmt: skip
    assert said(after, after) == []


def test_a_new_best_is_strictly_better_than_all_before_in_its_direction():
    statuses = {"a": "FINISHED", "b": "FINISHED", "c": "RUNNING"}
    one = seen(statuses, {"a": 0.8})
    assert said(one, seen(statuses, {"a": 0.8, "b": 0.8})) == []
    assert said(one, seen(statuses, {"a": 0.8, "b": 0.79})) == []
    [event] = events_between(one, seen(statuses, {"a": 0.8, "b": 0.8712345}))
    assert event.sentence == "b: val_auc 0.8712, new best of 2 finished runs compared"
    assert (event.kind, event.run_id, event.metric, event.value, event.of) == ("best", "b", "val_auc", 0.8712345, 2)
    loss = {"better": "lower", "objective": "loss"}
    assert said(seen(statuses, {"a": 0.8}, **loss), seen(statuses, {"a": 0.8, "b": 0.9}, **loss)) == []
    assert said(seen(statuses, {"a": 0.8}, **loss), seen(statuses, {"a": 0.8, "b": 0.7}, **loss)) == [
        "b: loss 0.7, new best of 2 finished runs compared"
    ]
    nobody = {"better": None}
    assert said(seen(statuses, {"a": 0.8}, **nobody), seen(statuses, {"a": 0.8, "b": 0.9}, **nobody)) == []


def test_the_next_best_after_a_run_went_is_no_new_best():
    before = seen({"a": "FINISHED", "b": "FINISHED"}, {"a": 0.9, "b": 0.8})
    after = seen({"b": "FINISHED"}, {"b": 0.8})
    assert said(before, after) == [
        "a is no longer selected",
        "b: val_auc 0.8, now the best of 1 finished run compared",
    ]


def test_values_of_another_objective_are_not_compared():
    statuses = {"a": "FINISHED"}
    loss = seen(statuses, {"a": 0.5}, better="lower", objective="loss")
    assert said(loss, seen(statuses, {"a": 0.9})) == [
        "the objective is now val_auc, higher is better",
        "a: val_auc 0.9, the best of 1 finished run compared",
    ]


def test_experiments_are_named_and_never_compared():
    tasks = {"1": SeenTask("one", "auc", "higher", {"a": 0.9}), "2": SeenTask("two", "auc", "higher", {})}
    before = SeenRuns({"a": "a", "b": "b"}, {"a": "FINISHED", "b": "RUNNING"}, tasks, {"a": "1", "b": "2"})
    worse = {**tasks, "2": SeenTask("two", "auc", "higher", {"b": 0.1})}
    after = replace(before, statuses={"a": "FINISHED", "b": "FINISHED"}, tasks=worse)
    assert said(before, after) == [
        "In two: b finished",
        "In two: b: auc 0.1, the best of 1 finished run compared",
    ]


def test_a_run_that_goes_bad_is_said_once_with_its_step():
    statuses = {"a": "RUNNING", "b": "RUNNING"}
    bad = seen(statuses, troubles={("diverged", "a"): 1040, ("non_finite", "b"): 3})
    events = events_between(seen(statuses), bad)
    assert [(one.kind, one.run_id, one.step, one.sentence) for one in events] == [
        ("diverged", "a", 1040, "a diverged at step 1,040"),
        ("non_finite", "b", 3, "b has a value that is not finite, first at step 3"),
    ]
    assert said(bad, bad) == []


def test_the_first_look_counts_the_runs_and_strings_of_the_store_stay_on_their_line():
    statuses = {"a": "RUNNING", "b": "FINISHED", "c": "FINISHED"}
    hostile = replace(seen(statuses, {"b": 0.5}, objective="{}\n{words}"), labels={"a": "a", "b": "{}\nb", "c": "c"})
    first, best = first_events(hostile)
    assert first.sentence == "3 runs: 1 running, 2 finished"
    assert "\n" not in best.sentence
    assert best.sentence.startswith("{} b: {} {words} 0.5, the best of 1")
