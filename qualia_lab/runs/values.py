"""The values that are compared within one task, and what is computed of them once for tables and charts."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from qualia_lab.analysis.configuration_means import means_of
from qualia_lab.analysis.scores import scores
from qualia_lab.escaping import one_line
from qualia_lab.runs.said import Said
from qualia_lab.study.statuses import WITHOUT, kind_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.analysis.importance import Importances
    from qualia_lab.analysis.scores import Scores
    from qualia_lab.runs.loaded import Loaded
    from qualia_lab.study.study import Task

_PAIRED = 12  # metrics that are looked at for the one that pulls apart most


def all_values(loaded: Loaded, metric: str, statistic: str = "last") -> Mapping[str, float]:
    """The finite values of a metric of all runs, by run id."""

    def compute() -> Scores:
        points = loaded.points([metric], statistic)
        return scores(loaded.tables, metric, statistic, points, loaded.better(metric))

    return loaded.once(("scores", metric, statistic), compute).values


def values_of(loaded: Loaded, task: Task, metric: str, statistic: str = "last") -> Mapping[str, float]:
    """The finite values of a metric of the runs of a task that take part in comparisons, by run id."""
    found = all_values(loaded, metric, statistic)
    return {run_id: found[run_id] for run_id in loaded.counted(task) if run_id in found}


def aside_of(loaded: Loaded, task: Task) -> list[tuple[str, int]]:
    """How many runs of a task take part in no comparison, and why."""
    return list(Counter(kind_of(loaded.left_out[one]) for one in task.run_ids if one in loaded.left_out).items())


def left_out_of(loaded: Loaded, task: Task, values: Mapping[str, float]) -> list[tuple[str, int]]:
    """How many runs of a task are not among these values, and why."""
    without = sum(run_id not in values for run_id in loaded.counted(task))
    return [*aside_of(loaded, task), *([(WITHOUT, without)] if without else [])]


def importances(loaded: Loaded, task: Task, metric: str, statistic: str) -> Importances:
    """Computed once for each question: a table, its bars and the pair of the top two ask the same."""
    from qualia_lab.analysis.importance import param_importances

    return loaded.once(
        ("importances", task.experiment_id, metric, statistic),
        lambda: param_importances(
            loaded.tables,
            loaded.study,
            values_of(loaded, task, metric, statistic),
            metric,
            greater_is_better=loaded.better(metric),
            task=task,
        ),
    )


def no_direction(metric: str) -> Said:
    """What is said where it has to be known whether more is better."""
    named = one_line(metric, 80)
    return Said(
        f"Whether more of {named} is better is not known. Set GREATER_IS_BETTER to True or False if it is the primary "
        f"metric, else to {{{one_line(repr(metric), 80)}: True}}."
    )


def directed(
    loaded: Loaded, task: Task, metrics: Sequence[str], statistic: str
) -> tuple[dict[str, Mapping[str, float]], dict[str, bool], list[str]]:
    """Values and direction of the metrics that have one, in their order, and those that have none."""
    known = {key: better for key in dict.fromkeys(metrics) if (better := loaded.better(key)) is not None}
    values = {key: values_of(loaded, task, key, statistic) for key in known}
    return values, known, [key for key in dict.fromkeys(metrics) if key not in known]


def means_over_configurations(
    loaded: Loaded, task: Task, values: Mapping[str, Mapping[str, float]]
) -> dict[str, Mapping[str, float]]:
    """By metric the mean of each configuration, by its first run: seeds are no independent runs."""
    return {key: means_of(loaded.study, of, task, loaded.diverged) for key, of in values.items()}


def pair_of(loaded: Loaded, task: Task, first: str, second: str | None, statistic: str) -> tuple[str, str] | Said:
    """Two metrics to weigh against each other, the second by default the one that pulls apart the most.

    Only objectives are anybody's aim: one of training data or a part of a loss is weighed only when it is asked for.
    """
    from qualia_lab.analysis.trade_offs import trade_offs

    aims = [first, second] if second else [first, *(one for one in _aims(loaded) if one != first)][:_PAIRED]
    values, directions, unknown = directed(loaded, task, aims, statistic)
    for key in (first, second):
        if key in unknown:
            return no_direction(key or "")
    means = means_over_configurations(loaded, task, values)
    pairs = [pair for pair in trade_offs(means, directions) if first in (pair.first, pair.second)]
    if not pairs:
        return Said(f"No run has {first} and {second or 'another metric with a known direction'}.")
    return first, second or (pairs[0].second if pairs[0].first == first else pairs[0].first)


def _aims(loaded: Loaded) -> list[str]:
    """The metrics that people choose runs by: objectives, then what runs cost."""
    from qualia_lab.inventory import take_inventory
    from qualia_lab.study.ranking import rank_metrics

    ranked = loaded.once("ranked", lambda: rank_metrics(loaded.study, take_inventory(loaded.tables)))
    return [one.key for one in ranked if loaded.study.metric[one.key].role in ("objective", "cost")]
