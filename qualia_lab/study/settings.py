"""`StudySettings`: settings of the user or the project for the interpretation of runs, which override inference."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Better = Literal["higher", "lower"]
MetricRole = Literal["objective", "training", "part", "cost", "spread", "count", "machine"]

# The source of a fact: flags or the `parameters` cell ("person"), [tool.qualia] ("settings"), a tag, the name, or the
# values ("data").
Source = Literal["person", "settings", "tag", "name", "data", "unknown"]


@dataclass(frozen=True)
class StudySettings:
    """Settings that override what a study infers; a default value leaves it to inference.

    Attributes:
        metric: the primary metric.
        better: metric → its direction.
        metric_roles: metric → its role.
        seeds: params that differ only between repeats of a configuration; () for none, None to infer them.
        factors: params and tags that distinguish configurations, whatever their values look like.
        labels: params and tags that only name runs.
        baseline: the id or name of one of the baseline's runs, or params that only the baseline has.
        statuses: statuses of the runs that count; None for finished runs, or all runs if none finished.
        pool: treat all experiments as one task.
        smallest_difference: the smallest difference of the primary metric that matters; None for one standard deviation
            between seeds.
        findings: thresholds by the name of the rule.
        chosen_by: the conditions that selected the runs, as data.
        sources: field → who set it; for metrics `better.KEY` and `metric_roles.KEY`.

    Example:
        >>> StudySettings(metric="val_auc", better={"val_auc": "higher"}, seeds=("seed",))
    """

    metric: str | None = None
    better: Mapping[str, Better] = field(default_factory=dict)
    metric_roles: Mapping[str, MetricRole] = field(default_factory=dict)
    seeds: tuple[str, ...] | None = None
    factors: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    baseline: str | Mapping[str, str] | None = None
    statuses: tuple[str, ...] | None = None
    pool: bool = False
    smallest_difference: float | None = None
    findings: Mapping[str, Any] = field(default_factory=dict)
    chosen_by: Mapping[str, Any] = field(default_factory=dict)
    sources: Mapping[str, Source] = field(default_factory=dict)

    @property
    def greater_is_better(self) -> dict[str, bool]:
        """Whether higher is better, for the metrics whose direction was set."""
        return {metric: direction == "higher" for metric, direction in self.better.items()}

    def source(self, name: str) -> Source:
        """Who set this field; "unknown" if not recorded.

        Args:
            name: the name of a field, or `better.KEY` or `metric_roles.KEY`.
        """
        return self.sources.get(name, "unknown")

    def source_or_person(self, name: str) -> Source:
        """Who set this field; "person" if not recorded.

        Args:
            name: the name of a field, or `better.KEY` or `metric_roles.KEY`.
        """
        return self.sources.get(name, "person")


_MAPPINGS = ("better", "metric_roles", "findings")
_DEFAULTS = StudySettings()
_NOT_SET = ("chosen_by", "sources")  # what a user does not set
# The types in JSON of the settings whose default has another type.
_TYPES_OF: Mapping[str, type | tuple[type, ...]] = {
    "metric": str,
    "seeds": list,
    "factors": list,
    "labels": list,
    "baseline": (str, dict),
    "statuses": list,
    "smallest_difference": (int, float),
}


def with_source(source: Source, settings: StudySettings) -> StudySettings:
    """Record this source in `sources` for every field that is not the default.

    Args:
        source: who set the fields.
        settings: the settings.
    """
    sources: dict[str, Source] = {}
    for setting in fields(StudySettings):
        value = getattr(settings, setting.name)
        if setting.name == "sources" or value == getattr(_DEFAULTS, setting.name):
            continue
        sources[setting.name] = source
        if setting.name in _MAPPINGS:
            sources |= {f"{setting.name}.{key}": source for key in value}
    return replace(settings, sources=sources)


def merge_settings(person: StudySettings, project: StudySettings) -> StudySettings:
    """Merge settings; those of the user override those of [tool.qualia], and mappings are merged key by key.

    Args:
        person: settings from flags, arguments, or the `parameters` cell.
        project: settings from [tool.qualia] in the folder's pyproject.toml.
    """
    above, below = with_source("person", person), with_source("settings", project)
    values: dict[str, Any] = {"sources": {**below.sources, **above.sources}}
    for setting in fields(StudySettings):
        if setting.name in _MAPPINGS:
            values[setting.name] = {**getattr(below, setting.name), **getattr(above, setting.name)}
        elif setting.name != "sources":
            values[setting.name] = getattr(above if setting.name in above.sources else below, setting.name)
    return StudySettings(**values)


def settings_as_data(settings: StudySettings) -> dict[str, Any]:
    """Return what a user set as a JSON-compatible dict; `settings_from_data` restores it.

    Args:
        settings: the settings; their sources and the conditions that selected the runs are left out.
    """
    values = {one.name: getattr(settings, one.name) for one in fields(StudySettings) if one.name not in _NOT_SET}
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in values.items()
        if value != getattr(_DEFAULTS, name)
    }


def settings_from_data(data: Mapping[str, Any]) -> StudySettings:
    """Return the settings in a dict of `settings_as_data`; names and types that no setting has are left out."""
    known = {one.name: getattr(_DEFAULTS, one.name) for one in fields(StudySettings) if one.name not in _NOT_SET}
    values: dict[str, Any] = {
        name: tuple(map(str, value)) if isinstance(value, list) else value
        for name, value in data.items()
        if name in known and isinstance(value, _TYPES_OF.get(name, type(known[name])))
    }
    return StudySettings(**values)
