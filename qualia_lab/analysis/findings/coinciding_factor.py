"""The factor that a partition of the runs, such as by commit or data, coincides with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.study.values import canonical

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from qualia_lab.study import Study
    from qualia_lab.study.study import Task


def coinciding_factor(study: Study, task: Task, part_of: Mapping[str, Hashable]) -> str | None:
    """The first factor of a task whose levels correspond one to one to the parts of the runs; None if there is none.

    Args:
        study: The factors and configurations.
        task: The task whose configurations are compared.
        part_of: The part of each compared run, by run id.

    Returns:
        The name of the factor.
    """
    parts = set(part_of.values())
    parts_of: dict[str, dict[Hashable, Hashable]] = {}  # by factor, then by level
    rejected: set[str] = set()
    for configuration in study.in_task(task):
        own = {part_of[run_id] for run_id in configuration.run_ids if run_id in part_of}
        if len(own) > 1:
            return None
        for name, value in configuration.params if own else ():
            if value is None or name in rejected:
                continue
            levels = parts_of.setdefault(name, {})
            [part] = own
            if levels.setdefault(canonical(value), part) != part or len(levels) > len(parts):
                rejected.add(name)
    return next(
        (
            name
            for name, levels in parts_of.items()
            if name not in rejected and 1 < len(levels) == len(parts) == len(set(levels.values()))
        ),
        None,
    )
