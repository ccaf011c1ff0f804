"""Values that are compared within one task, and results computed from them once for tables and charts."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from qualia_lab.analysis.configuration_means import means_of
from qualia_lab.analysis.scores import scores
from qualia_lab.escaping import one_line
from qualia_lab.runs.message import Message
from qualia_lab.study.statuses import WITHOUT, kind_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.analysis.importance import Importances
    from qualia_lab.analysis.scores import Scores
    from qualia_lab.runs.loaded import Loaded
    from qualia_lab.study.study import Task

_PAIRED = 12  # metrics considered as the second of a pair, for the strongest trade-off


def all_values(loaded: Loaded, metric: str, statistic: str = "last") -> Mapping[str, float]:
    """The finite values of a metric for all runs, by run id."""

    def compute() -> Scores:
        points = loaded.points([metric], statistic)
        return scores(loaded.tables, metric, statistic, points, loaded.better(metric))

    return loaded.once(("scores", metric, statistic), compute).values


def values_of(loaded: Loaded, task: Task, metric: str, statistic: str = "last") -> Mapping[str, float]:
    """The finite values of a metric for the runs of a task that take part in comparisons, by run id."""
    all_runs = all_values(loaded, metric, statistic)
    return {run_id: all_runs[run_id] for run_id in loaded.counted(task) if run_id in all_runs}


def excluded_counts(loaded: Loaded, task: Task) -> list[tuple[str, int]]:
    """How many runs of a task take part in no comparison, by reason."""
    return list(Counter(kind_of(loaded.left_out[one]) for one in task.run_ids if one in loaded.left_out).items())


def left_out_of(loaded: Loaded, task: Task, values: Mapping[str, float]) -> list[tuple[str, int]]:
    """How many runs of a task have no value here, by reason."""
    without = sum(run_id not in values for run_id in loaded.counted(task))
    return [*excluded_counts(loaded, task), *([(WITHOUT, without)] if without else [])]


def importances(loaded: Loaded, task: Task, metric: str, statistic: str) -> Importances:
    """The importance of the params, computed once: the table, its bars and the pair of the top two params share it."""
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


def no_direction(metric: str) -> Message:
    """The message for a metric of which it is not known whether higher is better."""
    named = one_line(metric, 80)
    return Message(
        f"It is not known whether higher values of {named} are better. Set GREATER_IS_BETTER to True or False if it is "
        f"the primary metric, else to {{{one_line(repr(metric), 80)}: True}}."
    )


def directed(
    loaded: Loaded, task: Task, metrics: Sequence[str], statistic: str
) -> tuple[dict[str, Mapping[str, float]], dict[str, bool], list[str]]:
    """Values and directions of the metrics whose direction is known, in their order, and the keys of the others."""
    known = {key: better for key in dict.fromkeys(metrics) if (better := loaded.better(key)) is not None}
    values = {key: values_of(loaded, task, key, statistic) for key in known}
    return values, known, [key for key in dict.fromkeys(metrics) if key not in known]


def means_over_configurations(
    loaded: Loaded, task: Task, values: Mapping[str, Mapping[str, float]]
) -> dict[str, Mapping[str, float]]:
    """For each metric, the mean per configuration, by its first run: runs differing in the seed are not independent."""
    return {key: means_of(loaded.study, by_run, task, loaded.diverged) for key, by_run in values.items()}


def pair_of(loaded: Loaded, task: Task, first: str, second: str | None, statistic: str) -> tuple[str, str] | Message:
    """Two metrics for a trade-off; the second is by default the one with the strongest trade-off against the first.

    By default only objectives and costs are considered: metrics of training data and parts of a loss have to be named.
    """
    from qualia_lab.analysis.trade_offs import trade_offs

    keys = [first, second] if second else [first, *(one for one in _default_metrics(loaded) if one != first)][:_PAIRED]
    values, directions, unknown = directed(loaded, task, keys, statistic)
    for key in (first, second):
        if key in unknown:
            return no_direction(key or "")
    means = means_over_configurations(loaded, task, values)
    pairs = [pair for pair in trade_offs(means, directions) if first in (pair.first, pair.second)]
    if not pairs:
        if second:
            return Message(f"No run has {first} and {second}.")
        return Message(
            f"No run has {first} and a second objective or a cost with a known direction; metrics of training data are "
            "drawn only if they are named."
        )
    return first, second or (pairs[0].second if pairs[0].first == first else pairs[0].first)


def _default_metrics(loaded: Loaded) -> list[str]:
    """The metrics by which runs are usually chosen: objectives first, then costs."""
    from qualia_lab.inventory import take_inventory
    from qualia_lab.study.ranking import rank_metrics

    ranked = loaded.once("ranked", lambda: rank_metrics(loaded.study, take_inventory(loaded.tables).model_metrics))
    return [one.key for one in ranked if loaded.study.metric[one.key].role in ("objective", "cost")]
