"""Compare every configuration to one baseline: the difference, its uncertainty, and a verdict in words."""

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

# With fewer than three runs on either side nothing is called a difference: two values do not even show their spread.
FEWEST_RUNS = 3

# Where only a difference of more than this many standard deviations is detectable, seeing none is inconclusive. Six
# runs a side detect 1.8 standard deviations with 80 % power, five detect 2.02.
MOST_DEVIATIONS = 2.0

TOO_FEW = "too few runs to tell"
NOT_SEEN = "no difference seen"


@dataclass(frozen=True)
class Difference:
    """The comparison of one configuration to the baseline.

    Attributes:
        group: the configuration.
        pairs: how many runs were paired by seed; None where they were not paired.
        comparison: the test and its numbers.
        corrected_p: the p value with Holm's correction over all comparisons of the table.
        verdict: better or worse (higher or lower where the metric has no direction), `no difference seen`, or `too few
            runs to tell`.
    """

    group: Group
    pairs: int | None
    comparison: Comparison
    corrected_p: float | None
    verdict: str


@dataclass(frozen=True)
class BaselineTable:
    """The comparison of all configurations to the baseline.

    Attributes:
        baseline: the configuration that the others are compared to.
        chosen: why this one is the baseline.
        differences: one entry for every other configuration, in the order of the groups.
    """

    baseline: Group
    chosen: str
    differences: tuple[Difference, ...]


def compare_to_baseline(groups: Sequence[Group], baseline: Group, chosen: str = "") -> BaselineTable:
    """Compare each other configuration to the baseline; see `two_samples` for the tests.

    Runs are paired by their seed-like params where both configurations have the same seeds, each once, and at least
    three.

    Args:
        groups: the configurations of one task, the baseline among them.
        baseline: the one to compare to.
        chosen: why it is the baseline, for the reader.

    Returns:
        The comparisons, with p values corrected over all of them (Holm).
    """
    others = [group for group in groups if group is not baseline]
    compared = [_compare(group, baseline) for group in others]
    corrected = holm(
        [
            comparison.p if _has_enough_runs(group, baseline) else None
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
    """Choose the baseline among the configurations.

    Args:
        groups: the configurations of one task.
        started: when each run started, in milliseconds since 1970, by run id.
        wanted: the id of any run of the baseline, or params that only the baseline has; None takes the configuration
            that was started first, among those with three runs or more where there are any.

    Returns:
        The baseline, and why it was chosen.

    Raises:
        QualiaLabError: `wanted` matches no configuration, or more than one.
    """
    if isinstance(wanted, str):
        for group in groups:
            if wanted in group.run_ids:
                return group, "the configuration of the run that BASELINE names"
        raise QualiaLabError(
            f"The baseline {one_line(wanted, 80)} is not one of these runs.", "Name one by its id, or by its params."
        )
    if wanted:
        return _with_params(groups, wanted), "the configuration whose params BASELINE names"
    repeated = [group for group in groups if len(group.values) >= FEWEST_RUNS]
    with_values = [group for group in groups if group.values]
    first = min(repeated or with_values or groups, key=lambda group: _first_start(group, started))
    restriction = " of those with three runs or more" if repeated else ""
    return first, f"the first that was started{restriction}; set BASELINE to take another"


def _with_params(groups: Sequence[Group], wanted: Mapping[str, str]) -> Group:
    """The one configuration that has all the wanted params."""
    wanted_params = {key: canonical(value) for key, value in wanted.items()}
    matches = [
        group
        for group in groups
        if wanted_params.items() <= {key: canonical(value) for key, value in group.configuration.settings}.items()
    ]
    if len(matches) == 1:
        return matches[0]
    words = one_line(", ".join(f"{key}={value}" for key, value in wanted.items()), 120)
    if not matches:
        raise QualiaLabError(
            f"No configuration has {words}, so none can be the baseline.",
            f"Others have: {_alternatives(groups, wanted)}.",
        )
    raise QualiaLabError(
        f"{len(matches)} configurations have {words}, and only one can be the baseline.",
        "Name more of its params, or one of its runs by its id.",
    )


def _alternatives(groups: Sequence[Group], wanted: Mapping[str, str]) -> str:
    """The values that the configurations have for the wanted params, else the names of the params that exist."""
    settings: list[Setting] = [param for group in groups for param in group.configuration.settings]
    near = list(dict.fromkeys(f"{key}={value}" for key, value in settings if key in wanted))
    return one_line(", ".join(near[:8] or sorted({key for key, _ in settings})[:8]), 200) or "no params"


def _first_start(group: Group, started: Mapping[str, int | None]) -> float:
    """The start of the earliest run of a configuration; infinity where none is known."""
    return min((time for run_id in group.run_ids if (time := started.get(run_id)) is not None), default=float("inf"))


def _compare(group: Group, baseline: Group) -> tuple[Comparison, int | None]:
    """Compare a configuration to the baseline by pairs where possible; also the number of pairs."""
    pairs, why = _paired(group, baseline)
    if pairs:
        comparison = compare_pairs([a for a, _ in pairs], [b for _, b in pairs], why)
        return comparison, len(pairs)
    return compare_samples(group.values, baseline.values, why), None


def _paired(group: Group, baseline: Group) -> tuple[list[tuple[float, float]], str]:
    """The values of group and baseline paired by seed, and why; no pairs where they cannot be paired."""
    first, second = _by_seed(group), _by_seed(baseline)
    if first is None or second is None:
        return [], "no seed, or a repeated seed"
    shared = [seed for seed in first if seed in second]
    # The partners of failed runs are dropped; where more than a quarter would be, pairing wastes data.
    if len(shared) < 0.75 * max(len(first), len(second)):
        return [], "different seeds"
    if len(shared) < FEWEST_RUNS:
        return [], "fewer than three pairs"
    pairs = [(first[seed], second[seed]) for seed in shared]
    if not spreads([a - b for a, b in pairs], within=[*first.values(), *second.values()]):
        return [], "all pairs differ by the same amount"
    return pairs, "the same seeds in both"


def _by_seed(group: Group) -> dict[tuple[Setting, ...], float] | None:
    """The values by the seeds of their runs; None where a run has no seed or two runs share one."""
    values = dict(zip(group.scored, group.values, strict=True))
    seeds = [
        (repeat, values[run_id])
        for run_id, repeat in zip(group.run_ids, group.configuration.repeats, strict=True)
        if run_id in values
    ]
    by_seed = dict(seeds)
    return by_seed if len(by_seed) == len(seeds) and () not in by_seed else None


def _has_enough_runs(group: Group, baseline: Group) -> bool:
    """Whether both sides have enough runs for a verdict."""
    return min(len(group.values), len(baseline.values)) >= FEWEST_RUNS


def _verdict(group: Group, baseline: Group, comparison: Comparison, p: float | None) -> str:
    """The verdict of one comparison in words."""
    if not _has_enough_runs(group, baseline):
        return TOO_FEW
    if comparison.test == "":  # all repeats are equal: they count as one run
        return NOT_SEEN if comparison.difference == 0 else TOO_FEW
    if p is not None and p < ALPHA and comparison.difference:
        up = comparison.difference > 0
        if group.greater_is_better is None:
            return "higher" if up else "lower"
        return "better" if up == group.greater_is_better else "worse"
    return TOO_FEW if (comparison.in_deviations or 0) > MOST_DEVIATIONS else NOT_SEEN
