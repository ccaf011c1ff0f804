"""Whether something that runs differ in, such as their commit or their data, goes with a factor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.study.values import canonical

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from qualia_lab.study import Study
    from qualia_lab.study.study import Task


def factor_of(study: Study, task: Task, part_of: Mapping[str, Hashable]) -> str | None:
    """The first factor of a task whose levels are one to one with the parts of the runs; None where none is.

    Args:
        study: the factors and configurations.
        task: whose configurations are looked at.
        part_of: of each run that is looked at, the part it belongs to.
    """
    parts_of: dict[str, dict[Hashable, set[Hashable]]] = {}
    for configuration in study.in_task(task):
        parts = {part_of[run_id] for run_id in configuration.run_ids if run_id in part_of}
        if not parts:
            continue
        for name, value in configuration.params:
            if value is not None:
                parts_of.setdefault(name, {}).setdefault(canonical(value), set()).update(parts)
    for name, levels in parts_of.items():
        alone = [next(iter(parts)) for parts in levels.values() if len(parts) == 1]
        if 1 < len(alone) == len(levels) == len(set(alone)) == len(set(part_of.values())):
            return name
    return None
