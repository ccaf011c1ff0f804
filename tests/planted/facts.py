"""Facts that are planted in a store, and the verdict on what was said of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .store import PlantedStore

# Kinds of findings that claim something of the runs; what is there to see in the tables anyway is never false.
CLAIMS = ("answer", "problem", "relation")


@dataclass
class Fact:
    """What has to be said: by one of these rules, of exactly these runs (None: any), with these keys and words."""

    rules: tuple[str, ...]
    runs: set[str] | None = None
    keys: set[str] = field(default_factory=set)
    words: tuple[str, ...] = ()

    def is_said_by(self, finding, names) -> bool:
        return (
            finding.rule in self.rules
            and (self.runs is None or {names[run_id] for run_id in finding.run_ids} == self.runs)
            and self.keys <= set(finding.keys)
            and all(word in finding.sentence for word in self.words)
        )


@dataclass
class Planted:
    """A store and what is true of it.

    allowed: rules that may speak besides the planted facts, since they say something true or claim nothing.
    never: words that no claim may hold, such as the name of a param that does nothing.
    """

    shape: str
    store: PlantedStore
    facts: list[Fact]
    allowed: tuple[str, ...] = ()
    never: tuple[str, ...] = ()


@dataclass
class Verdict:
    """Of one store: the planted facts that nothing said, and the findings that are false or misleading."""

    missed: list[Fact]
    false: list[str]


def judge(planted: Planted, findings) -> Verdict:
    """Compare what was said with what is true."""
    names = planted.store.names
    missed = [fact for fact in planted.facts if not any(fact.is_said_by(one, names) for one in findings)]
    false = []
    for one in findings:
        if one.kind not in CLAIMS:
            continue
        is_true = one.rule in planted.allowed or any(fact.is_said_by(one, names) for fact in planted.facts)
        said = f"{one.rule}: {one.sentence}"
        if not is_true or any(word in said for word in planted.never):
            false.append(said)
    return Verdict(missed, false)
