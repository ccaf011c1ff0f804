"""Facts planted in a store, and the comparison of findings with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .store import PlantedStore

# Kinds of findings that make claims about the runs; the others repeat what the tables show and cannot be false.
CLAIMS = ("answer", "problem", "relation")


@dataclass
class Fact:
    """An expected finding: by one of these rules, about exactly these runs (None: any), with these keys and words."""

    rules: tuple[str, ...]
    runs: set[str] | None = None
    keys: set[str] = field(default_factory=set)
    words: tuple[str, ...] = ()

    def matches(self, finding, names) -> bool:
        return (
            finding.rule in self.rules
            and (self.runs is None or {names[run_id] for run_id in finding.run_ids} == self.runs)
            and self.keys <= set(finding.keys)
            and all(word in finding.sentence for word in self.words)
        )


@dataclass
class Planted:
    """A store and its known truth.

    Attributes:
        shape: Name of the kind of store.
        store: The store.
        facts: The expected findings.
        allowed: Rules that may also fire, since their findings are true or claim nothing.
        never: Words that no claim may contain, such as the name of a param without effect.
    """

    shape: str
    store: PlantedStore
    facts: list[Fact]
    allowed: tuple[str, ...] = ()
    never: tuple[str, ...] = ()


@dataclass
class Verdict:
    """The planted facts that no finding states, and the findings that are false or misleading."""

    missed: list[Fact]
    false: list[str]


def judge(planted: Planted, findings) -> Verdict:
    """Compare findings with the planted facts."""
    names = planted.store.names
    missed = [fact for fact in planted.facts if not any(fact.matches(finding, names) for finding in findings)]
    false = []
    for finding in findings:
        if finding.kind not in CLAIMS:
            continue
        is_true = finding.rule in planted.allowed or any(fact.matches(finding, names) for fact in planted.facts)
        text = f"{finding.rule}: {finding.sentence}"
        if not is_true or any(word in text for word in planted.never):
            false.append(text)
    return Verdict(missed, false)
