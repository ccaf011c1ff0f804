"""Every configuration against one of them, the baseline: how far apart, how sure, and a verdict in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.power import ALPHA
from qualia_lab.analysis.two_samples import Comparison, compare_pairs, compare_samples, holm, spreads
from qualia_lab.errors import QualiaLabError
from qualia_lab.escaping import one_line
from qualia_lab.study.values import canonical

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.analysis.groups import Group
    from qualia_lab.study.study import Setting

# Under three runs on either side nothing is called a difference: two values do not even show their spread.
FEWEST_RUNS = 3

# Where only a difference beyond so many standard deviations would show, not to see one says nothing. Six runs a side
# show 1.8 of them in 80 % of cases, five 2.02.
MOST_DEVIATIONS = 2.0

TOO_FEW = "too few runs to tell"
NOT_SEEN = "no difference seen"


@dataclass(frozen=True)
class Difference:
    """A configuration against the baseline.

    pairs: how many runs were paired by their seed; None where they were not.  corrected_p: Holm's, over all
    comparisons of the table.  verdict: better, worse (higher, lower where the metric has no direction),
    `no difference seen` or `too few runs to tell`.
    """

    group: Group
    pairs: int | None
    comparison: Comparison
    corrected_p: float | None
    verdict: str


@dataclass(frozen=True)
class BaselineTable:
    """The baseline, why it is that one, and every other configuration against it, in the order of the groups."""

    baseline: Group
    chosen: str
    differences: tuple[Difference, ...]


def compare_to_baseline(groups: Sequence[Group], baseline: Group, chosen: str = "") -> BaselineTable:
    """Compare each other configuration to the baseline; see `two_samples` for the computations.

    Runs are paired by their seed-like params where both configurations have the same, each once, three or more.
    """
    others = [group for group in groups if group is not baseline]
    compared = [_compare(group, baseline) for group in others]
    corrected = holm(
        [
            comparison.p if _enough(group, baseline) else None
            for group, (comparison, _) in zip(others, compared, strict=True)
        ]
    )
    return BaselineTable(
        baseline,
        chosen,
        tuple(
            Difference(
                group,
                pairs,
                comparison,
                p,
                _verdict(group, baseline, comparison, p),
            )
            for group, (comparison, pairs), p in zip(others, compared, corrected, strict=True)
        ),
    )


def choose_baseline(
    groups: Sequence[Group], started: Mapping[str, int | None], wanted: str | Mapping[str, str] | None
) -> tuple[Group, str]:
    """The baseline among the configurations, and why it is that one.

    wanted: the id of any of its runs, or params that it alone has; None takes the configuration that was started
    first, of those with three runs or more where there are any.
    started: when each run started, in milliseconds.
    Raises QualiaLabError when that is no configuration, or more than one.
    """
    if isinstance(wanted, str):
        for group in groups:
            if wanted in group.run_ids:
                return group, "the configuration of the run that BASELINE names"
        raise QualiaLabError(
            f"The baseline {one_line(wanted, 80)} is none of these runs.", "Name one by its id, or by its params."
        )
    if wanted:
        return _with_params(groups, wanted), "the configuration whose params BASELINE names"
    carrying = [group for group in groups if len(group.values) >= FEWEST_RUNS]
    with_values = [group for group in groups if group.values]
    first = min(carrying or with_values or groups, key=lambda group: _first_start(group, started))
    how = " of those with three runs or more" if carrying else ""
    return first, f"the first that was started{how}; set BASELINE to take another"


def _with_params(groups: Sequence[Group], wanted: Mapping[str, str]) -> Group:
    asked = {key: canonical(value) for key, value in wanted.items()}
    found = [
        group
        for group in groups
        if asked.items() <= {key: canonical(value) for key, value in group.configuration.settings}.items()
    ]
    if len(found) == 1:
        return found[0]
    words = one_line(", ".join(f"{key}={value}" for key, value in wanted.items()), 120)
    if not found:
        raise QualiaLabError(
            f"No configuration has {words}, which was to be the baseline.",
            f"Others have: {_alternatives(groups, wanted)}.",
        )
    raise QualiaLabError(
        f"{len(found)} configurations have {words}, and only one can be the baseline.",
        "Name more of its params, or one of its runs by its id.",
    )


def _alternatives(groups: Sequence[Group], wanted: Mapping[str, str]) -> str:
    """The values that the configurations have of the params that were asked for, or the params that there are."""
    settings: list[Setting] = [param for group in groups for param in group.configuration.settings]
    near = list(dict.fromkeys(f"{key}={value}" for key, value in settings if key in wanted))
    return one_line(", ".join(near[:8] or sorted({key for key, _ in settings})[:8]), 200) or "no params"


def _first_start(group: Group, started: Mapping[str, int | None]) -> float:
    return min((time for run_id in group.run_ids if (time := started.get(run_id)) is not None), default=float("inf"))


def _compare(group: Group, baseline: Group) -> tuple[Comparison, int | None]:
    pairs, why = _paired(group, baseline)
    if pairs:
        comparison = compare_pairs([a for a, _ in pairs], [b for _, b in pairs], why)
        return comparison, len(pairs)
    return compare_samples(group.values, baseline.values, why), None


def _paired(group: Group, baseline: Group) -> tuple[list[tuple[float, float]], str]:
    """The values of both by seed, the group's first; none where they cannot be paired, and why."""
    first, second = _by_seed(group), _by_seed(baseline)
    if first is None or second is None:
        return [], "no seed, or one seed twice"
    shared = [seed for seed in first if seed in second]
    # Of runs that failed the partners fall out; where more do, pairing would waste what is there.
    if len(shared) < 0.75 * max(len(first), len(second)):
        return [], "other seeds"
    if len(shared) < FEWEST_RUNS:
        return [], "under three pairs"
    pairs = [(first[seed], second[seed]) for seed in shared]
    if not spreads([a - b for a, b in pairs], within=[*first.values(), *second.values()]):
        return [], "all pairs differ by the same"
    return pairs, "the same seeds in both"


def _by_seed(group: Group) -> dict[tuple[Setting, ...], float] | None:
    """The values by the seeds of their runs; None where a run has none, or two have the same."""
    values = dict(zip(group.scored, group.values, strict=True))
    seeds = [
        (repeat, values[run_id])
        for run_id, repeat in zip(group.run_ids, group.configuration.repeats, strict=True)
        if run_id in values
    ]
    by_seed = dict(seeds)
    return by_seed if len(by_seed) == len(seeds) and () not in by_seed else None


def _enough(group: Group, baseline: Group) -> bool:
    return min(len(group.values), len(baseline.values)) >= FEWEST_RUNS


def _verdict(group: Group, baseline: Group, comparison: Comparison, p: float | None) -> str:
    if not _enough(group, baseline):
        return TOO_FEW
    if comparison.test == "":  # the repeats are all alike: they are one run, said again
        return NOT_SEEN if comparison.difference == 0 else TOO_FEW
    if p is not None and p < ALPHA and comparison.difference:
        up = comparison.difference > 0
        if group.greater_is_better is None:
            return "higher" if up else "lower"
        return "better" if up == group.greater_is_better else "worse"
    return TOO_FEW if (comparison.in_deviations or 0) > MOST_DEVIATIONS else NOT_SEEN
