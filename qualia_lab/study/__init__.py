"""What metrics, params, tags and runs are, and which runs may be compared.

Public names are imported on first use, so that commands that only need the settings start quickly.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qualia_lab.study.as_data import study_as_data
    from qualia_lab.study.describe import describe_study
    from qualia_lab.study.metrics import direction_of
    from qualia_lab.study.one_factor import OneFactor, one_factor_sets
    from qualia_lab.study.settings import StudySettings, merge_settings, with_source
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
    "study_as_data",
    "with_source",
]

_MODULES = {
    "as_data": ("study_as_data",),
    "describe": ("describe_study",),
    "metrics": ("direction_of",),
    "one_factor": ("OneFactor", "one_factor_sets"),
    "settings": ("StudySettings", "merge_settings", "with_source"),
    "study": ("Configuration", "Factor", "Metric", "Objective", "ShortRun", "Study", "Task"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
