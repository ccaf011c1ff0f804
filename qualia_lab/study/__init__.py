"""What metrics, params, tags and runs are, and which runs may be compared.

The public names are imported when they are first used: a command that only needs the settings starts at once.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qualia_lab.study.as_data import study_as_data
    from qualia_lab.study.describe import describe_study
    from qualia_lab.study.metrics import direction_of
    from qualia_lab.study.one_factor import OneFactor, one_factor_sets
    from qualia_lab.study.settings import StudySettings, merge_settings, said_by
    from qualia_lab.study.study import Configuration, Factor, Metric, Objective, ShortRun, Study, Task

__all__ = [
    "Configuration",
    "Factor",
    "Metric",
    "Objective",
    "OneFactor",
    "ShortRun",
    "Study",
    "StudySettings",
    "Task",
    "describe_study",
    "direction_of",
    "merge_settings",
    "one_factor_sets",
    "said_by",
    "study_as_data",
]

_HOMES = {
    "as_data": ("study_as_data",),
    "describe": ("describe_study",),
    "metrics": ("direction_of",),
    "one_factor": ("OneFactor", "one_factor_sets"),
    "settings": ("StudySettings", "merge_settings", "said_by"),
    "study": ("Configuration", "Factor", "Metric", "Objective", "ShortRun", "Study", "Task"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
