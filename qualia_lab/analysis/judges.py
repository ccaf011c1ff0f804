"""How judges agree with humans, and judges that give the same value to everything."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from qualia_lab.analysis.evaluations import why_no_value
from qualia_lab.analysis.kappa import Kappa, cohens_kappa
from qualia_lab.analysis.scorers import read_scorers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from qualia_lab.analysis.assessments import Assessment
    from qualia_lab.analysis.scorers import Scorer

# Numbers with at most this many different values are ordered categories; kappa of more would be of single values.
_MOST_LEVELS = 11


@dataclass(frozen=True)
class JudgeAgreement:
    """The judges of one name against humans, on the traces that both judged.

    Attributes:
        scorer: what the values are.
        kappa: the agreement; None for numbers with many different values.
        mean_distance: the mean absolute difference of numbers; None for others.
        disagreements: the traces on which they differ, in order.
        corrected_by_humans: how many of the judges' values a human replaced in the store.
    """

    scorer: Scorer
    kappa: Kappa | None
    mean_distance: float | None
    disagreements: tuple[str, ...]
    corrected_by_humans: int


@dataclass(frozen=True)
class ConstantJudge:
    """A judge that gave one value to all traces.

    Attributes:
        name: the name of its feedback.
        source: who judged.
        value: the value, as text.
        trace_ids: the traces that it judged.
        others: the different values that other sources gave to these traces under the same name, as text.
        differing: the traces to which they gave another value.
    """

    name: str
    source: str
    value: str
    trace_ids: tuple[str, ...]
    others: tuple[str, ...]
    differing: tuple[str, ...]


def judges_against_humans(opinions: Iterable[Assessment]) -> tuple[JudgeAgreement, ...]:
    """The agreement of judges and code with humans, for every name that both gave to the same trace.

    Of several values of a side on one trace, the most frequent one counts, and none where there is no such one.

    Args:
        opinions: as `assessments.first_opinions` returns them.

    Returns:
        One for each name, sorted.
    """
    usable = [one for one in opinions if not why_no_value(one.value, one.error)]
    scorers = _scorers(usable)
    sides: dict[str, dict[str, tuple[list[str], list[str]]]] = defaultdict(lambda: defaultdict(lambda: ([], [])))
    for one in usable:
        sides[one.name][one.trace_id][one.is_human].append(_label(scorers[one.name], one.value))
    replaced: dict[str, set[str]] = defaultdict(set)
    for one in usable:
        if one.replaced_by_other:
            replaced[one.name].add(one.trace_id)
    found = []
    for name in sorted(sides):
        rated = {
            trace_id: (judge, human)
            for trace_id, (judges, humans) in sides[name].items()
            if (judge := _most_frequent(judges)) is not None and (human := _most_frequent(humans)) is not None
        }
        if rated:
            found.append(_agreement(scorers[name], rated, len(replaced[name] & rated.keys())))
    return tuple(found)


def constant_judges(opinions: Iterable[Assessment], fewest: int) -> tuple[ConstantJudge, ...]:
    """The judges that gave the same value to all of at least `fewest` traces.

    Args:
        opinions: as `assessments.first_opinions` returns them.
        fewest: the smallest number of traces.

    Returns:
        The judges, by name.
    """
    usable = [one for one in opinions if not why_no_value(one.value, one.error)]
    scorers = _scorers(usable)
    of_judge: dict[tuple[str, str, str], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for one in usable:
        label = _label(scorers[one.name], one.value)
        of_judge[one.name, one.source_type, one.source_id][one.trace_id].add(label)
    found = []
    for (name, source_type, source_id), by_trace in sorted(of_judge.items()):
        given = set().union(*by_trace.values())
        if source_type != "LLM_JUDGE" or len(given) > 1 or len(by_trace) < fewest:
            continue
        [value] = given
        others: dict[str, set[str]] = defaultdict(set)
        for other, labels in of_judge.items():
            if other[0] == name and other != (name, source_type, source_id):
                for trace_id in by_trace.keys() & labels.keys():
                    others[trace_id] |= labels[trace_id]
        differing = tuple(trace_id for trace_id in by_trace if others.get(trace_id, {value}) != {value})
        all_others = tuple(sorted(set().union(*others.values()))) if others else ()
        found.append(ConstantJudge(name, source_id, value, tuple(by_trace), all_others, differing))
    return tuple(found)


def _scorers(opinions: Sequence[Assessment]) -> dict[str, Scorer]:
    values: dict[str, list[Any]] = defaultdict(list)
    for one in opinions:
        values[one.name].append(one.value)
    return read_scorers(values)


def _agreement(scorer: Scorer, rated: Mapping[str, tuple[str, str]], replaced: int) -> JudgeAgreement:
    labels = sorted({label for pair in rated.values() for label in pair}, key=lambda label: _order(scorer, label))
    distance = None
    if scorer.kind == "number":
        distance = float(np.mean([abs(float(judge) - float(human)) for judge, human in rated.values()]))
    kappa = None
    if scorer.kind != "number" or len(labels) <= _MOST_LEVELS:
        place = {label: index for index, label in enumerate(labels)}
        counts = np.zeros((len(labels), len(labels)))
        for judge, human in rated.values():
            counts[place[judge], place[human]] += 1
        kappa = cohens_kappa(counts, ordered=scorer.kind == "number")
    differing = tuple(trace_id for trace_id, (judge, human) in rated.items() if judge != human)
    return JudgeAgreement(scorer, kappa, distance, differing, replaced)


def _label(scorer: Scorer, value: Any) -> str:
    """A value as text, the same for `true`, `yes` and `pass`."""
    number = scorer.number(value)
    if number is None:
        return str(value).strip().lower()
    if scorer.kind == "binary":
        return "yes" if number else "no"
    return repr(number)


def _order(scorer: Scorer, label: str) -> tuple[float, str]:
    return (float(label) if scorer.kind == "number" else 0.0, label)


def _most_frequent(labels: Sequence[str]) -> str | None:
    """The value given most often; None for none or a draw."""
    counts = {label: labels.count(label) for label in labels}
    top = [label for label, count in counts.items() if count == max(counts.values())]
    return top[0] if len(top) == 1 else None
