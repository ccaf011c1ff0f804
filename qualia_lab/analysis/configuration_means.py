"""The mean of a metric per configuration: relations are computed over these, because seeds are not independent runs."""

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
    """The mean of each metric over the runs of each configuration that count.

    Args:
        tables: the tables of the runs that the study describes.
        study: which runs form a configuration, and which are left out of comparisons.
        metrics: the keys of the metrics.
        task: the task whose configurations are used; None takes those of all tasks.
        without: further runs that do not count, such as those that diverged.

    Returns:
        By metric, then by the first run of each configuration, the mean of the last values.
    """
    return {key: means_of(study, scores(tables, key).values, task, without) for key in metrics}


def means_of(
    study: Study, values: Mapping[str, float], task: Task | None = None, without: Collection[str] = ()
) -> dict[str, float]:
    """The mean per configuration of finite values by run id; a configuration without a run that counts is left out.

    Args:
        study: which runs form a configuration.
        values: the finite value of each run, by run id.
        task: the task whose configurations are used; None takes those of all tasks.
        without: further runs that do not count.

    Returns:
        The mean by the first run of each configuration.
    """
    return {
        configuration.run_ids[0]: mean_of([values[run_id] for run_id in run_ids])
        for configuration in (study.configurations if task is None else study.in_task(task))
        if (run_ids := counted_runs(study, configuration, values, without))
    }


def counted_runs(
    study: Study, configuration: Configuration, values: Mapping[str, float], without: Collection[str] = ()
) -> list[str]:
    """The runs of a configuration that have a value and count: no copies, no parents, and none of `without`."""
    return [
        run_id
        for run_id in configuration.run_ids
        if run_id in values and run_id not in study.left_out and run_id not in without
    ]
