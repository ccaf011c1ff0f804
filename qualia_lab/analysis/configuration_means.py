"""The mean of a metric per configuration: what relations are computed over, so that seeds are no independent runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.analysis.intervals import mean_of
from qualia_lab.analysis.scores import scores

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from qualia_lab.study import Study
    from qualia_lab.study.study import Configuration, Task
    from qualia_lab.tables import RunTables


def configuration_means(
    tables: RunTables,
    study: Study,
    metrics: Iterable[str],
    task: Task | None = None,
    without: Collection[str] = (),
) -> dict[str, dict[str, float]]:
    """By metric, then by the first run of each configuration, the mean of the latest values of its runs that count.

    Args:
        tables: the runs that the study describes.
        study: which runs are one configuration, and which take part in no comparison.
        metrics: their keys.
        task: only its configurations; None takes those of all tasks, each by itself.
        without: further runs that do not count, such as those that diverged.
    """
    return {key: means_of(study, scores(tables, key).values, task, without) for key in metrics}


def means_of(
    study: Study, values: Mapping[str, float], task: Task | None = None, without: Collection[str] = ()
) -> dict[str, float]:
    """The same of finite values by run id; a configuration of which no run counts is left out."""
    return {
        configuration.run_ids[0]: mean_of([values[run_id] for run_id in run_ids])
        for configuration in (study.configurations if task is None else study.in_task(task))
        if (run_ids := counted_runs(study, configuration, values, without))
    }


def counted_runs(
    study: Study, configuration: Configuration, values: Mapping[str, float], without: Collection[str] = ()
) -> list[str]:
    """The runs of a configuration that have a value and count: no copy, no parent, none of `without`."""
    return [
        run_id
        for run_id in configuration.run_ids
        if run_id in values and run_id not in study.left_out and run_id not in without
    ]
