"""Two sides compared: is the comparison isolated, is there a difference, and what else differs."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal

from qualia_lab.analysis.findings.finding import count, number
from qualia_lab.analysis.scores import scores
from qualia_lab.analysis.sides import Differs, as_json, differing, settings_of
from qualia_lab.analysis.two_samples import Comparison, compare_pairs, compare_samples, spreads
from qualia_lab.errors import SelectionError
from qualia_lab.escaping import one_line
from qualia_lab.study.statuses import WITHOUT, counts_text
from qualia_lab.study.values import canonical

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.study import Study
    from qualia_lab.study.study import Task
    from qualia_lab.tables import RunTables

ALPHA = 0.05
FEWEST = 3  # runs of a side, or pairs, under which nothing is called a difference
_SHARED = 0.75  # of the larger side's contexts, so that pairing wastes little
_NAMED = 4

Verdict = Literal["better", "worse", "higher", "lower", "not told apart", "too few"]
_Context = frozenset[tuple[str, Any]]


@dataclass(frozen=True)
class Side:
    """One side: how it was said, its runs, those that count, in order, and their values.

    left_out: how many of its runs do not count, and why.
    """

    said: str
    run_ids: tuple[str, ...]
    scored: tuple[str, ...]
    values: tuple[float, ...]
    left_out: tuple[tuple[str, int], ...]

    @property
    def mean(self) -> float | None:
        """The mean of its values."""
        return fmean(self.values) if self.values else None


@dataclass(frozen=True)
class SideComparison:
    """What there is to say of A against B.

    tasks: the experiments of both, more than one where they are different tasks, and then nothing is compared.
    differs: what is not the same on both sides, of what can explain a difference.  claimed: what the person believes
    to differ.  isolated: only one thing differs, and it is the claimed one where one was claimed.
    comparison: A less B; of pairs where `pairs` says how many, which belong together by `paired_by`.
    """

    a: Side
    b: Side
    metric: str
    greater_is_better: bool | None
    tasks: tuple[str, ...]
    claimed: str | None
    differs: tuple[Differs, ...]
    isolated: bool
    comparison: Comparison
    pairs: int | None
    paired_by: tuple[str, ...]
    verdict: Verdict
    sentences: tuple[str, ...]

    def __repr__(self) -> str:
        return "\n".join(self.sentences)

    def as_data(self) -> dict[str, Any]:
        """The object that `qualia compare --json` prints."""
        found = self.comparison
        better = {True: "higher", False: "lower", None: None}[self.greater_is_better]
        return {
            **{
                name: {"said": side.said, "runs": list(side.run_ids), "n": len(side.values), "mean": side.mean}
                for name, side in (("a", self.a), ("b", self.b))
            },
            "metric": self.metric,
            "better": better,
            "isolated": self.isolated,
            "claimed": self.claimed,
            "differs": [as_json(one) for one in self.differs],
            "verdict": self.verdict,
            **{name: getattr(found, name) for name in ("difference", "low", "high", "p")},
            "n": {"a": len(self.a.values), "b": len(self.b.values)},
            "paired": self.pairs is not None,
            "pairs": self.pairs,
            "test": found.test,
            "sentences": list(self.sentences),
        }


def compare_sides(
    tables: RunTables,
    study: Study,
    a: Sequence[str],
    b: Sequence[str],
    metric: str | None = None,
    claimed: str | None = None,
    *,
    said: tuple[str, str] = ("A", "B"),
    environments: Mapping[str, Mapping[str, str]] | None = None,
) -> SideComparison:
    """Compare the runs of two sides by the last values of one metric.

    Runs belong together where all factors that both sides share and all seeds are equal; runs of one side that are
    alike in these are averaged first. Three pairs or more that leave out little are compared by Student's paired t
    test, all else by Welch's test or ranks (see `two_samples`). Runs on both sides count on neither.

    Args:
        tables: the runs.
        study: of these runs.
        a: the ids of one side's runs, as `sides.read_side` gives them.
        b: those of the other.
        metric: None takes the objective of the task.
        claimed: the factor that the person believes to be the only difference.
        said: how the sides were called.
        environments: of some runs the version of each library.

    Raises:
        SelectionError: no run is on one side only, or no metric is known to compare.
    """
    both = set(a) & set(b)
    only = tuple(tuple(run for run in side if run not in both) for side in (a, b))
    if not all(only):
        raise SelectionError("Both sides are the same runs.", "Name two that differ, such as: qualia compare lr=0.1 lr=0.01")
    tasks = _tasks(study, (*only[0], *only[1]))
    key, better = _metric(study, tasks, metric)
    known = scores(tables, key).values
    sides = tuple(_side(study, runs, name, known) for runs, name in zip(only, said, strict=True))
    contexts = _contexts(study, *(side.scored for side in sides))
    comparison, pairs, paired_by, compared = _compare(*sides, contexts)
    differs = differing(tables, study, *compared, environments)
    verdict: Verdict = _verdict(comparison, *sides, paired=pairs is not None, better=better) if len(tasks) == 1 else "too few"
    asked = _claimed(claimed, differs)
    isolated = len(differs) == len(tasks) == 1 and (claimed is None or asked is not None)
    found = SideComparison(
        *sides, key, better, tuple(task.experiment for task in tasks), claimed, differs, isolated,
        comparison if len(tasks) == 1 else Comparison("", "different tasks"),
        pairs if len(tasks) == 1 else None, paired_by, verdict, (),
    )  # fmt: skip
    return replace(found, sentences=tuple(_sentences(found, len(both))))


def _tasks(study: Study, run_ids: Sequence[str]) -> list[Task]:
    """The tasks of these runs, in the order of the study."""
    there = {id(study.task_of[run_id]) for run_id in run_ids if run_id in study.task_of}
    return [task for task in study.tasks if id(task) in there]


def _metric(study: Study, tasks: Sequence[Task], metric: str | None) -> tuple[str, bool | None]:
    """The metric to compare, and which way is better."""
    if metric is not None:
        return metric, study.greater_is_better(metric)
    objective = next((task.objective for task in tasks if task.objective is not None), None)
    if objective is None:
        raise SelectionError(
            "No metric of these runs says how good a run is.", "Name one: --metric METRIC:max or METRIC:min."
        )
    return objective.key, objective.greater_is_better


def _side(study: Study, run_ids: Sequence[str], said: str, known: Mapping[str, float]) -> Side:
    scored = tuple(run for run in run_ids if run in known and run not in study.left_out)
    why = Counter(
        study.left_out[run].partition(" of ")[0].partition(" in ")[0] if run in study.left_out else WITHOUT
        for run in run_ids
        if run not in scored
    )
    return Side(said, tuple(run_ids), scored, tuple(known[run] for run in scored), tuple(why.items()))


def _contexts(study: Study, a: Sequence[str], b: Sequence[str]) -> dict[str, _Context]:
    """Of each run the factors and seeds that may be equal on the other side, with their values."""
    settings = settings_of(study, (*a, *b))
    repeats = {
        run: repeat
        for one in study.configurations
        for run, repeat in zip(one.run_ids, one.repeats, strict=True)
        if run in settings
    }
    shared = []
    for name in dict.fromkeys(name for one in settings.values() for name in one):
        values = ({_value(settings[run].get(name)) for run in side if run in settings} for side in (a, b))
        if not set.isdisjoint(*values):
            shared.append(name)
    return {
        run: frozenset(
            [
                *((name, _value(one.get(name))) for name in shared),
                *((name, canonical(value)) for name, value in repeats[run]),
            ]
        )
        for run, one in settings.items()
    }


def _value(text: str | None) -> Any:
    return None if text is None else canonical(text)


def _compare(
    a: Side, b: Side, contexts: Mapping[str, _Context]
) -> tuple[Comparison, int | None, tuple[str, ...], tuple[tuple[str, ...], tuple[str, ...]]]:
    """A less B, how many pairs, what they belong together by, and the runs that were compared."""
    first, second = _by_context(a, contexts), _by_context(b, contexts)
    shared = [context for context in first if context in second]
    if len(shared) >= FEWEST and len(shared) >= _SHARED * max(len(first), len(second)):
        means = [[fmean(value for _, value in side[context]) for context in shared] for side in (first, second)]
        apart = [one - other for one, other in zip(*means, strict=True)]
        if spreads(apart, within=[*means[0], *means[1]]):
            names = {name for context in shared for name, _ in context}
            varying = sorted(name for name in names if len({dict(context).get(name) for context in shared}) > 1)
            runs = tuple(tuple(run for context in shared for run, _ in side[context]) for side in (first, second))
            why = f"the same {', '.join(varying)} in both"
            return compare_pairs(*means, why), len(shared), tuple(varying), (runs[0], runs[1])
    return compare_samples(a.values, b.values, "no pairs"), None, (), (a.scored or a.run_ids, b.scored or b.run_ids)


def _by_context(side: Side, contexts: Mapping[str, _Context]) -> dict[_Context, list[tuple[str, float]]]:
    found: dict[_Context, list[tuple[str, float]]] = defaultdict(list)
    for run, value in zip(side.scored, side.values, strict=True):
        found[contexts.get(run, frozenset())].append((run, value))
    return found


def _verdict(found: Comparison, a: Side, b: Side, *, paired: bool, better: bool | None) -> Verdict:
    if min(len(a.values), len(b.values)) < FEWEST or (found.p is None and found.difference != 0):
        return "too few"
    if not paired and found.p is None:
        return "not told apart"  # the values of both sides are all alike, and the same
    if found.p is None or found.p >= ALPHA or not found.difference:
        return "not told apart"
    up = found.difference > 0
    if better is None:
        return "higher" if up else "lower"
    return "better" if up == better else "worse"


def _claimed(claimed: str | None, differs: Sequence[Differs]) -> Differs | None:
    """What differs, of what the person claimed to."""
    names = {claimed, (claimed or "").removeprefix("params.").removeprefix("tags.")}
    return next((one for one in differs if one.key in names or one.what in names or f"{one.what}s.{one.key}" in names), None)


def _sentences(found: SideComparison, on_both: int) -> list[str]:
    """What was found, in plain words, the answer first."""
    said = [_answer(found)]
    if found.verdict == "not told apart" and found.comparison.smallest is not None:
        said.append(
            f"So many runs, with this spread, show a difference of {number(found.comparison.smallest)} in 80 % of cases; "
            "a smaller one may be there."
        )
    if len(found.tasks) == 1:
        said.append(_isolation(found))
    out = [
        f"of {name} {counts_text(side.left_out)}"
        for name, side in (("A", found.a), ("B", found.b))
        if side.left_out
    ]
    out += [f"{count(on_both, 'run')} on both sides"] if on_both else []
    if out:
        said.append(f"Not counted: {'; '.join(out)}.")
    return said


def _answer(found: SideComparison) -> str:
    a, b = (
        f"{name} ({one_line(side.said, 60)}, n = {len(side.values):,})"
        for name, side in (("A", found.a), ("B", found.b))
    )
    if len(found.tasks) > 1:
        where = ", ".join(one_line(name, 40) for name in found.tasks[:_NAMED])
        return (
            f"{a} and {b} are of different experiments ({where}), which are different tasks: no winner is named. "
            "If they are one task, say so with --pool."
        )
    metric = one_line(found.metric, 80)
    if not found.a.values or not found.b.values:
        return f"{a} and {b} cannot be compared: {'A' if not found.a.values else 'B'} has no run with {metric} that counts."
    assert found.a.mean is not None
    assert found.b.mean is not None
    means = f"{number(found.a.mean)} against {number(found.b.mean)}"
    comparison = found.comparison
    interval = (
        f", 95 % {number(comparison.low)} to {number(comparison.high)}"
        if comparison.low is not None and comparison.high is not None
        else ""
    )
    how = ", ".join(filter(None, (
        f"{found.pairs:,} pairs by {', '.join(found.paired_by[:_NAMED])}" if found.pairs is not None else "",
        comparison.test,
        f"p = {comparison.p:.2g}" if comparison.p is not None else "",
    )))  # fmt: skip
    apart = f"the difference is {number(comparison.difference or 0.0)}{interval}{f' ({how})' if how else ''}"
    if found.verdict == "too few":
        return f"Too few runs to tell {a} and {b} apart by {metric}: {means}."
    if found.verdict == "not told apart":
        return f"{a} and {b} cannot be told apart by {metric}: {means}; {apart}."
    words = {
        "better": "has a better mean", "worse": "has a worse mean", "higher": "has a higher mean",
        "lower": "has a lower mean",
    }[found.verdict]  # fmt: skip
    unknown = " Which way is better is not known: say --metric METRIC:max or METRIC:min." if found.greater_is_better is None else ""
    return f"{a} {words} {metric} than {b}: {means}; {apart}.{unknown}"


def _isolation(found: SideComparison) -> str:
    """Whether one thing alone differs."""
    shown = [
        f"{'commit' if one.what == 'commit' else one_line(one.key, 60)} ({one.shown(one.a)} against {one.shown(one.b)})"
        for one in found.differs
    ]
    if not shown:
        said = "Nothing that was recorded differs but seeds and labels: they are repeats of one configuration."
        return said if found.claimed is None else f"{said} They do not differ in {one_line(found.claimed, 60)}."
    listed = shown[0] if len(shown) == 1 else f"{', '.join(shown[:_NAMED][:-1] if len(shown) <= _NAMED else shown[:_NAMED])}" + (
        f" and {shown[-1]}" if len(shown) <= _NAMED else f" and {len(shown) - _NAMED:,} more"
    )
    asked = _claimed(found.claimed, found.differs)
    if found.claimed is not None and asked is None:
        return f"They do not differ in {one_line(found.claimed, 60)}, but in {listed}."
    if len(shown) == 1:
        return f"They differ in {listed} alone: the comparison is isolated."
    to = "any one of these" if asked is None else f"{one_line(asked.key, 60)} alone"
    return f"They differ in {listed}: a difference cannot be put down to {to}."
