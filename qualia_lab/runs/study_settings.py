"""What the `parameters` cell says of how to look at the runs, as StudySettings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from qualia_lab.errors import QualiaLabError
from qualia_lab.study.settings import StudySettings, said_by

if TYPE_CHECKING:
    from qualia_lab.study.settings import Better

WORDS = (
    *("primary_metric", "greater_is_better", "seeds", "statuses", "baseline", "factors", "labels", "pool"),
    *("smallest_difference", "findings", "metric_roles", "chosen_by"),
)


def study_settings(said: Mapping[str, Any], before: StudySettings | None = None) -> StudySettings:
    """The settings with what is said here changed.

    Args:
        said: arguments of `load_runs` by their names.
        before: what was said before; None for nothing.

    Raises:
        QualiaLabError: a direction without the metric that it is of.
        TypeError: a name that is no argument.
    """
    before = before or StudySettings()
    for word in said:
        if word not in WORDS:
            raise TypeError(f"{word!r} is none of {', '.join(WORDS)}")
    fields: dict[str, Any] = {}
    for word, value in said.items():
        if word in ("seeds", "statuses"):
            fields[word] = None if value is None else (value,) if isinstance(value, str) else tuple(value)
        elif word in ("factors", "labels"):
            fields[word] = (value,) if isinstance(value, str) else tuple(value)
        elif word in ("findings", "metric_roles", "chosen_by"):
            fields[word] = dict(value or {})
        elif word == "primary_metric":
            fields["metric"] = value
        elif word != "greater_is_better":
            fields[word] = value
    if "greater_is_better" in said:
        metric = fields.get("metric", before.metric)
        fields["better"] = _directions(said["greater_is_better"], metric, before.better)
    settings = said_by("person", replace(before, **fields))
    # The cell repeats the metric that was inferred: whether a person chose it is told by comparing the two.
    return replace(settings, sources={name: one for name, one in settings.sources.items() if name != "metric"})


def _directions(
    said: bool | Mapping[str, bool] | None, metric: str | None, before: Mapping[str, Better]
) -> dict[str, Better]:
    if said is None:
        return {key: better for key, better in before.items() if key != metric}
    if isinstance(said, Mapping):
        return {**before, **{key: "higher" if more else "lower" for key, more in said.items()}}
    if metric is None:
        raise QualiaLabError(
            "It is said whether more is better, and not of which metric.",
            'Set PRIMARY_METRIC too, or GREATER_IS_BETTER = {"metric": True}.',
        )
    return {**before, metric: "higher" if said else "lower"}
