"""Convert the arguments of `load_runs`, as set in the `parameters` cell, to StudySettings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from qualia_lab.errors import QualiaLabError
from qualia_lab.study.settings import StudySettings, with_source

if TYPE_CHECKING:
    from qualia_lab.study.settings import Better

ARGUMENTS = (
    *("primary_metric", "greater_is_better", "seeds", "statuses", "baseline", "factors", "labels", "pool"),
    *("smallest_difference", "findings", "metric_roles", "chosen_by"),
)


def study_settings(arguments: Mapping[str, Any], before: StudySettings | None = None) -> StudySettings:
    """Change the settings by these arguments.

    Args:
        arguments: arguments of `load_runs` by name.
        before: the settings to change; None for the defaults.

    Raises:
        QualiaLabError: a direction is given without the metric to which it applies.
        TypeError: an argument that does not exist.
    """
    before = before or StudySettings()
    for name in arguments:
        if name not in ARGUMENTS:
            raise TypeError(f"{name!r} is none of {', '.join(ARGUMENTS)}")
    fields: dict[str, Any] = {}
    for name, value in arguments.items():
        if name in ("seeds", "statuses"):
            fields[name] = None if value is None else (value,) if isinstance(value, str) else tuple(value)
        elif name in ("factors", "labels"):
            fields[name] = (value,) if isinstance(value, str) else tuple(value)
        elif name in ("findings", "metric_roles", "chosen_by"):
            fields[name] = dict(value or {})
        elif name == "primary_metric":
            fields["metric"] = value
        elif name != "greater_is_better":
            fields[name] = value
    if "greater_is_better" in arguments:
        metric = fields.get("metric", before.metric)
        fields["better"] = _directions(arguments["greater_is_better"], metric, before.better)
    settings = with_source("person", replace(before, **fields))
    # The cell contains the inferred metric too: whether a user changed it is found by comparing the two.
    return replace(settings, sources={name: one for name, one in settings.sources.items() if name != "metric"})


def _directions(
    greater_is_better: bool | Mapping[str, bool] | None, metric: str | None, before: Mapping[str, Better]
) -> dict[str, Better]:
    if greater_is_better is None:
        return {key: better for key, better in before.items() if key != metric}
    if isinstance(greater_is_better, Mapping):
        return {**before, **{key: "higher" if more else "lower" for key, more in greater_is_better.items()}}
    if metric is None:
        raise QualiaLabError(
            "A direction is given without a metric to which it applies.",
            'Set PRIMARY_METRIC too, or GREATER_IS_BETTER = {"metric": True}.',
        )
    return {**before, metric: "higher" if greater_is_better else "lower"}
