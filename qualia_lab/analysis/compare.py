"""Compare two sets of runs: whether the comparison is isolated, whether they differ, and what else is different."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal

from qualia_lab.analysis.baseline import FEWEST_RUNS
from qualia_lab.analysis.compare_sentences import sentences_of
from qualia_lab.analysis.differing_labels import is_called
from qualia_lab.analysis.power import ALPHA
from qualia_lab.analysis.scores import scores
from qualia_lab.analysis.sides import as_json, differing, settings_of
from qualia_lab.analysis.two_samples import Comparison, compare_pairs, compare_samples, spreads
from qualia_lab.errors import SelectionError
from qualia_lab.escaping import for_html, one_line
from qualia_lab.study.statuses import runs_with_value
from qualia_lab.study.values import canonical

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.analysis.differs import Differs
    from qualia_lab.study import Study
    from qualia_lab.study.study import Task
    from qualia_lab.tables import RunTables

_SHARED = 0.75  # share of the larger side's contexts that must be paired, so that pairing wastes little

Verdict = Literal["better", "worse", "higher", "lower", "not told apart", "too few"]
_Context = frozenset[tuple[str, Any]]


@dataclass(frozen=True)
class Side:
    """One side of a comparison.

    Attributes:
        label: the text that selected the side.
        run_ids: all its runs.
        scored: the runs that count and have a finite value.
        values: the values of `scored`, in the same order.
        left_out: why runs do not count, and how many for each reason.
    """

    label: str
    run_ids: tuple[str, ...]
    scored: tuple[str, ...]
    values: tuple[float, ...]
    left_out: tuple[tuple[str, int], ...]

    @property
    def mean(self) -> float | None:
        """The mean of the values; None where there are none."""
        return fmean(self.values) if self.values else None


@dataclass(frozen=True, repr=False)
class SideComparison:
    """The comparison of side A to side B.

    Attributes:
        a, b: the two sides.
        metric: the key of the compared metric.
        greater_is_better: the direction of the metric; None where it is unknown.
        tasks: the experiments of both sides; several are different tasks, and then nothing is compared.
        claimed: the factor that the caller believes to be the only difference.
        claimed_difference: the entry of `differs` for the claimed factor; None where it does not differ.
        differs: everything that differs between the sides and could explain a difference of the metric.
        isolated: whether exactly one thing differs, the claimed one if any.
        comparison: A minus B.
        pairs: the number of pairs; None where the runs were not paired.
        paired_by: the factors and seeds that define the pairs.
        verdict: better or worse (higher or lower without a direction), `not told apart`, or `too few`.
        sentences: the result in sentences, the answer first.
    """

    a: Side
    b: Side
    metric: str
    greater_is_better: bool | None
    tasks: tuple[str, ...]
    claimed: str | None
    claimed_difference: Differs | None
    differs: tuple[Differs, ...]
    isolated: bool
    comparison: Comparison
    pairs: int | None
    paired_by: tuple[str, ...]
    verdict: Verdict
    sentences: tuple[str, ...]

    def __repr__(self) -> str:
        return "\n".join(one_line(sentence, 1000) for sentence in self.sentences)

    def _repr_html_(self) -> str:
        first, *rest = self.sentences
        return f"<p><b>{for_html(first)}</b></p>" + "".join(f"<p>{for_html(sentence)}</p>" for sentence in rest)

    def as_data(self) -> dict[str, Any]:
        """The JSON object that `qualia compare --json` prints."""
        comparison = self.comparison
        better = {True: "higher", False: "lower", None: None}[self.greater_is_better]
        return {
            **{
                name: {"said": side.label, "runs": list(side.run_ids), "n": len(side.values), "mean": side.mean}
                for name, side in (("a", self.a), ("b", self.b))
            },
            "metric": self.metric,
            "better": better,
            "isolated": self.isolated,
            "claimed": self.claimed,
            "differs": [as_json(difference) for difference in self.differs],
            "verdict": self.verdict,
            **{name: getattr(comparison, name) for name in ("difference", "low", "high", "p")},
            "n": {"a": len(self.a.values), "b": len(self.b.values)},
            "paired": self.pairs is not None,
            "pairs": self.pairs,
            "test": comparison.test,
            "sentences": list(self.sentences),
        }


def compare_sides(  # noqa: PLR0917  in the order of the command line: A, B, the metric, the claim
    tables: RunTables,
    study: Study,
    a: Sequence[str],
    b: Sequence[str],
    metric: str | None = None,
    claimed: str | None = None,
    *,
    labels: tuple[str, str] = ("A", "B"),
    environments: Mapping[str, Mapping[str, str]] | None = None,
    without: Mapping[str, str] | None = None,
) -> SideComparison:
    """Compare the runs of two sides by the last values of one metric.

    Runs are paired where all seeds and all factors with common values are equal; runs of one side that agree in these
    are averaged first. Three or more pairs that leave out little are compared by Student's paired t test, everything
    else by Welch's test or ranks (see `two_samples`). Runs on both sides count on neither.

    Args:
        tables: the tables of all runs.
        study: the study of the same runs.
        a: the run ids of side A, as `sides.read_side` returns them.
        b: the run ids of side B.
        metric: the key of the metric; None takes the objective of the task.
        claimed: the factor that the caller believes to be the only difference.
        labels: the texts that selected the sides.
        environments: the version of each library, by run id; not every run needs an entry.
        without: the reason for each run that does not count, in addition to those that the study leaves out.

    Returns:
        The comparison, its verdict and its sentences.

    Raises:
        SelectionError: all runs of a side are on the other side too, or no metric is known to compare.
    """
    both = set(a) & set(b)
    only_a, only_b = (tuple(run for run in side if run not in both) for side in (a, b))
    if not only_a or not only_b:
        same = "Both sides are the same runs" if not only_a and not only_b else "One side holds all runs of the other"
        raise SelectionError(f"{same}.", "Name two that differ: qualia compare lr=0.1 lr=0.01")
    tasks = _tasks(study, (*only_a, *only_b))
    key, better = _metric(study, tasks, metric)
    values, uncounted = scores(tables, key).values, {**(without or {}), **study.left_out}
    first, second = (_side(uncounted, runs, name, values) for runs, name in zip((only_a, only_b), labels, strict=True))
    matched = _match(first, second, _contexts(study, first.scored, second.scored))
    claimed = _full_key(study, claimed)
    differs = differing(tables, study, *matched.runs, environments, also=claimed)
    is_one = len(tasks) == 1
    verdict: Verdict = _verdict(matched, first, second, better) if is_one else "too few"
    claimed_difference = _claimed(claimed, differs)
    result = SideComparison(
        a=first,
        b=second,
        metric=key,
        greater_is_better=better,
        tasks=tuple(task.experiment for task in tasks),
        claimed=claimed,
        claimed_difference=claimed_difference,
        differs=differs,
        isolated=is_one and len(differs) == 1 and (claimed is None or claimed_difference is not None),
        comparison=matched.comparison if is_one else Comparison("", "different tasks"),
        pairs=matched.pairs if is_one else None,
        paired_by=matched.by,
        verdict=verdict,
        sentences=(),
    )
    return replace(result, sentences=tuple(sentences_of(result, len(both))))


def _tasks(study: Study, run_ids: Sequence[str]) -> list[Task]:
    """The tasks of these runs, in the order of the runs."""
    return list({id(task): task for run_id in run_ids for task in (study.task_of[run_id],)}.values())


def _metric(study: Study, tasks: Sequence[Task], metric: str | None) -> tuple[str, bool | None]:
    """The metric to compare, and its direction."""
    if metric is not None:
        return metric, study.greater_is_better(metric)
    objective = next((task.objective for task in tasks if task.objective is not None), None)
    if objective is None:
        raise SelectionError(
            "No metric of these runs says how good a run is.", "Name one: --metric METRIC:max or METRIC:min."
        )
    return objective.key, objective.greater_is_better


def _side(uncounted: Mapping[str, str], run_ids: Sequence[str], label: str, values: Mapping[str, float]) -> Side:
    """One side with the values of its runs that count."""
    scored, reasons = runs_with_value(run_ids, values, uncounted)
    return Side(label, tuple(run_ids), scored, tuple(values[run] for run in scored), reasons)


def _contexts(study: Study, a: Sequence[str], b: Sequence[str]) -> dict[str, _Context]:
    """For each run, the seeds and the factors with values common to both sides, with their values."""
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
    """A value in its canonical spelling; None where it is missing."""
    return None if text is None else canonical(text)


@dataclass(frozen=True)
class _Matched:
    """A comparison of A minus B: the number of pairs, what they are paired by, and the compared runs of both sides."""

    comparison: Comparison
    pairs: int | None
    by: tuple[str, ...]
    runs: tuple[tuple[str, ...], tuple[str, ...]]


def _match(a: Side, b: Side, contexts: Mapping[str, _Context]) -> _Matched:
    """Compare pairs where there are enough and few runs are left out, else all values."""
    first, second = _by_context(a, contexts), _by_context(b, contexts)
    shared = [context for context in first if context in second]
    if len(shared) >= FEWEST_RUNS and len(shared) >= _SHARED * max(len(first), len(second)):
        means_a, means_b = (
            [fmean(value for _, value in side[context]) for context in shared] for side in (first, second)
        )
        differences = [one - other for one, other in zip(means_a, means_b, strict=True)]
        if spreads(differences, within=[*means_a, *means_b]):
            names = {name for context in shared for name, _ in context}
            varying = sorted(name for name in names if len({dict(context).get(name) for context in shared}) > 1)
            comparison = compare_pairs(means_a, means_b, f"the same {', '.join(varying)} in both")
            runs_a, runs_b = (tuple(run for context in shared for run, _ in side[context]) for side in (first, second))
            return _Matched(comparison, len(shared), tuple(varying), (runs_a, runs_b))
    comparison = compare_samples(a.values, b.values, "no pairs")
    return _Matched(comparison, None, (), (a.scored or a.run_ids, b.scored or b.run_ids))


def _by_context(side: Side, contexts: Mapping[str, _Context]) -> dict[_Context, list[tuple[str, float]]]:
    """The (run id, value) pairs of a side by context."""
    values_by_context: dict[_Context, list[tuple[str, float]]] = defaultdict(list)
    for run, value in zip(side.scored, side.values, strict=True):
        values_by_context[contexts.get(run, frozenset())].append((run, value))
    return values_by_context


def _verdict(matched: _Matched, a: Side, b: Side, better: bool | None) -> Verdict:
    """The verdict: `too few` with fewer than three runs on a side, or where sides differ and no test is possible."""
    comparison = matched.comparison
    if min(len(a.values), len(b.values)) < FEWEST_RUNS or (comparison.p is None and comparison.difference != 0):
        return "too few"
    if comparison.p is None or comparison.p >= ALPHA or not comparison.difference:
        return "not told apart"
    up = comparison.difference > 0
    if better is None:
        return "higher" if up else "lower"
    return "better" if up == better else "worse"


def _full_key(study: Study, claimed: str | None) -> str | None:
    """The full key for a claimed last part that only one key has: `model.attention` for `attention`."""
    params_and_tags = [*study.params, *study.tags]
    if claimed is None or any(is_called(param, claimed) for param in params_and_tags):
        return claimed
    ends = [param.name for param in params_and_tags if param.key.replace("/", ".").rpartition(".")[2] == claimed]
    return ends[0] if len(ends) == 1 else claimed


def _claimed(claimed: str | None, differs: Sequence[Differs]) -> Differs | None:
    """The difference that the caller claimed; None where it is not among the differences."""
    return next(
        (
            difference
            for difference in differs
            if claimed in (difference.key, difference.what, f"{difference.what}s.{difference.key}")
        ),
        None,
    )
