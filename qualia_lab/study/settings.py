"""StudySettings: what a person or the project says of how runs are to be looked at; it overrules what is inferred."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Better = Literal["higher", "lower"]
MetricRole = Literal["objective", "training", "part", "cost", "spread", "count", "machine"]

# Where an answer comes from: flags or the `parameters` cell, [tool.qualia], a tag, the name, the values themselves.
Source = Literal["person", "settings", "tag", "name", "data", "unknown"]


@dataclass(frozen=True)
class StudySettings:
    """Everything that overrules the study; what is left out is inferred.

    metric: the primary one.  better: of metrics, which way is better.  metric_roles: of metrics, what they are.
    seeds: the params that only repeat a configuration; () says that none does, None that they are to be inferred.
    factors, labels: params and tags that are that, whatever they look like.
    baseline: the id or name of a run of it, or the params that it alone has.
    statuses: whose runs count in a mean; None: those that finished, or all where none did.
    pool: experiments are one task, not different ones.
    smallest_difference: of the primary metric, the smallest one that matters; None: a standard deviation between seeds.
    findings: thresholds of rules, by the rule's name.
    chosen_by: the conditions by which the runs were chosen out of more, as data.
    sources: of each of these fields that was said, by whom; of metrics by `better.KEY` and `metric_roles.KEY`.
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

    def source(self, name: str) -> Source:
        """Who said it; "unknown" where nobody did."""
        return self.sources.get(name, "unknown")

    def said_it(self, name: str) -> Source:
        """Who set what is set; where no source is recorded, the person did."""
        return self.sources.get(name, "person")


_MAPPINGS = ("better", "metric_roles", "findings")
_UNSAID = StudySettings()


def said_by(source: Source, settings: StudySettings) -> StudySettings:
    """The settings with `sources` filled: everything that is not the default was said by this one."""
    sources: dict[str, Source] = {}
    for one in fields(StudySettings):
        value = getattr(settings, one.name)
        if one.name == "sources" or value == getattr(_UNSAID, one.name):
            continue
        sources[one.name] = source
        if one.name in _MAPPINGS:
            sources |= {f"{one.name}.{key}": source for key in value}
    return replace(settings, sources=sources)


def merge_settings(person: StudySettings, project: StudySettings) -> StudySettings:
    """What the person says, over what [tool.qualia] says; mappings are merged key by key.

    Args:
        person: flags, arguments, or the `parameters` cell.
        project: [tool.qualia] of the folder's pyproject.toml.
    """
    above, below = said_by("person", person), said_by("settings", project)
    values: dict[str, Any] = {"sources": {**below.sources, **above.sources}}
    for one in fields(StudySettings):
        if one.name in _MAPPINGS:
            values[one.name] = {**getattr(below, one.name), **getattr(above, one.name)}
        elif one.name != "sources":
            values[one.name] = getattr(above if one.name in above.sources else below, one.name)
    return StudySettings(**values)
