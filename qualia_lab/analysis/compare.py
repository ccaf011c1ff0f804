"""Two sides compared: is the comparison isolated, is there a difference, and what else differs."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal

from qualia_lab.analysis.baseline import FEWEST_RUNS
from qualia_lab.analysis.compare_sentences import sentences_of
from qualia_lab.analysis.made_with import is_called
from qualia_lab.analysis.power import ALPHA
from qualia_lab.analysis.scores import scores
from qualia_lab.analysis.sides import Differs, as_json, differing, settings_of
from qualia_lab.analysis.two_samples import Comparison, compare_pairs, compare_samples, spreads
from qualia_lab.errors import SelectionError
from qualia_lab.escaping import for_html, one_line
from qualia_lab.study.statuses import WITHOUT, kind_of
from qualia_lab.study.values import canonical

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.study import Study
    from qualia_lab.study.study import Task
    from qualia_lab.tables import RunTables

_SHARED = 0.75  # of the larger side's contexts, so that pairing wastes little

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


@dataclass(frozen=True, repr=False)
class SideComparison:
    """What there is to say of A against B.

    tasks: the experiments of both, more than one where they are different tasks, and then nothing is compared.
    differs: what is not the same on both sides, of what can explain a difference.  claimed: what the person believes
    to differ; asked: that, where it does.  isolated: only one thing differs, the claimed one where one was claimed.
    comparison: A less B; of pairs where `pairs` says how many, which belong together by `paired_by`.
    """

    a: Side
    b: Side
    metric: str
    greater_is_better: bool | None
    tasks: tuple[str, ...]
    claimed: str | None
    asked: Differs | None
    differs: tuple[Differs, ...]
    isolated: bool
    comparison: Comparison
    pairs: int | None
    paired_by: tuple[str, ...]
    verdict: Verdict
    sentences: tuple[str, ...]

    def __repr__(self) -> str:
        return "\n".join(one_line(one, 1000) for one in self.sentences)

    def _repr_html_(self) -> str:
        first, *rest = self.sentences
        return f"<p><b>{for_html(first)}</b></p>" + "".join(f"<p>{for_html(one)}</p>" for one in rest)

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


def compare_sides(  # noqa: PLR0917  as a person says it: A, B, the metric, the claim
    tables: RunTables,
    study: Study,
    a: Sequence[str],
    b: Sequence[str],
    metric: str | None = None,
    claimed: str | None = None,
    *,
    said: tuple[str, str] = ("A", "B"),
    environments: Mapping[str, Mapping[str, str]] | None = None,
    without: Mapping[str, str] | None = None,
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
        without: runs that do not count besides those that the study leaves out, each with why.

    Raises:
        SelectionError: no run is on one side only, or no metric is known to compare.
    """
    both = set(a) & set(b)
    only_a, only_b = (tuple(run for run in side if run not in both) for side in (a, b))
    if not only_a or not only_b:
        same = "Both sides are the same runs" if not only_a and not only_b else "One side holds all runs of the other"
        raise SelectionError(f"{same}.", "Name two that differ: qualia compare lr=0.1 lr=0.01")
    tasks = _tasks(study, (*only_a, *only_b))
    key, better = _metric(study, tasks, metric)
    known, uncounted = scores(tables, key).values, {**(without or {}), **study.left_out}
    first, second = (_side(uncounted, runs, name, known) for runs, name in zip((only_a, only_b), said, strict=True))
    matched = _match(first, second, _contexts(study, first.scored, second.scored))
    claimed = _whole_key(study, claimed)
    differs = differing(tables, study, *matched.runs, environments, also=claimed)
    is_one = len(tasks) == 1
    verdict: Verdict = _verdict(matched, first, second, better) if is_one else "too few"
    asked = _claimed(claimed, differs)
    found = SideComparison(
        a=first,
        b=second,
        metric=key,
        greater_is_better=better,
        tasks=tuple(task.experiment for task in tasks),
        claimed=claimed,
        asked=asked,
        differs=differs,
        isolated=is_one and len(differs) == 1 and (claimed is None or asked is not None),
        comparison=matched.comparison if is_one else Comparison("", "different tasks"),
        pairs=matched.pairs if is_one else None,
        paired_by=matched.by,
        verdict=verdict,
        sentences=(),
    )
    return replace(found, sentences=tuple(sentences_of(found, len(both))))


def _tasks(study: Study, run_ids: Sequence[str]) -> list[Task]:
    """The tasks of these runs, in the order of the runs."""
    return list({id(task): task for run_id in run_ids for task in (study.task_of[run_id],)}.values())


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


def _side(uncounted: Mapping[str, str], run_ids: Sequence[str], said: str, known: Mapping[str, float]) -> Side:
    scored = tuple(run for run in run_ids if run in known and run not in uncounted)
    why = Counter(
        kind_of(uncounted[run]) if run in uncounted else WITHOUT
        for run in run_ids
        if run in uncounted or run not in known
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


@dataclass(frozen=True)
class _Matched:
    """A less B, of how many pairs that belong together by what, and the runs of both that were compared."""

    comparison: Comparison
    pairs: int | None
    by: tuple[str, ...]
    runs: tuple[tuple[str, ...], tuple[str, ...]]


def _match(a: Side, b: Side, contexts: Mapping[str, _Context]) -> _Matched:
    """Compare pairs where there are enough and they leave out little, else all values."""
    first, second = _by_context(a, contexts), _by_context(b, contexts)
    shared = [context for context in first if context in second]
    if len(shared) >= FEWEST_RUNS and len(shared) >= _SHARED * max(len(first), len(second)):
        of_a, of_b = ([fmean(value for _, value in side[context]) for context in shared] for side in (first, second))
        apart = [one - other for one, other in zip(of_a, of_b, strict=True)]
        if spreads(apart, within=[*of_a, *of_b]):
            names = {name for context in shared for name, _ in context}
            varying = sorted(name for name in names if len({dict(context).get(name) for context in shared}) > 1)
            found = compare_pairs(of_a, of_b, f"the same {', '.join(varying)} in both")
            runs_a, runs_b = (tuple(run for context in shared for run, _ in side[context]) for side in (first, second))
            return _Matched(found, len(shared), tuple(varying), (runs_a, runs_b))
    found = compare_samples(a.values, b.values, "no pairs")
    return _Matched(found, None, (), (a.scored or a.run_ids, b.scored or b.run_ids))


def _by_context(side: Side, contexts: Mapping[str, _Context]) -> dict[_Context, list[tuple[str, float]]]:
    found: dict[_Context, list[tuple[str, float]]] = defaultdict(list)
    for run, value in zip(side.scored, side.values, strict=True):
        found[contexts.get(run, frozenset())].append((run, value))
    return found


def _verdict(matched: _Matched, a: Side, b: Side, better: bool | None) -> Verdict:
    """Under three runs on a side, or where no test can be made and they differ, there are too few to tell."""
    found = matched.comparison
    if min(len(a.values), len(b.values)) < FEWEST_RUNS or (found.p is None and found.difference != 0):
        return "too few"
    if found.p is None or found.p >= ALPHA or not found.difference:
        return "not told apart"
    up = found.difference > 0
    if better is None:
        return "higher" if up else "lower"
    return "better" if up == better else "worse"


def _whole_key(study: Study, claimed: str | None) -> str | None:
    """The key that a person means by its last part alone, where only one has it: `attention` of `model.attention`."""
    known = [*study.params, *study.tags]
    if claimed is None or any(is_called(one, claimed) for one in known):
        return claimed
    ends = [one.name for one in known if one.key.replace("/", ".").rpartition(".")[2] == claimed]
    return ends[0] if len(ends) == 1 else claimed


def _claimed(claimed: str | None, differs: Sequence[Differs]) -> Differs | None:
    """What differs, of what the person claimed to."""
    return next((one for one in differs if claimed in (one.key, one.what, f"{one.what}s.{one.key}")), None)
