"""Conditions in words and as flags: what titles, messages and the command that makes a notebook again say of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.counts import counted
from qualia_lab.escaping import for_shell, one_line
from qualia_lab.selection import cut_metric
from qualia_lab.study.sentences import listed

if TYPE_CHECKING:
    from qualia_lab.selection import Conditions, Selection
    from qualia_lab.study.settings import StudySettings

COMMAND = "create-observation-notebook"

# Runs that were picked one by one are named in the command up to so many: more would fill the first screen.
_RUNS_NAMED = 12


def default_title(selection: Selection) -> str:
    """`churn: 12 runs`, from the experiments' names."""
    return f"{listed(selection.experiments, 3)}: {counted(len(selection.run_ids), 'run')}"


def choice_in_words(selection: Selection, count: int) -> str:
    """`12 runs of churn, FINISHED, with lr=0.1, best val_auc first, at most 12`, as plain text.

    Args:
        selection: its conditions are said as they were given.
        count: how many runs there are.
    """
    conditions = selection.conditions
    words = [count_in_words(selection, count, 5)]
    if conditions.status:
        words.append(" or ".join(conditions.status))
    if conditions.since:
        words.append(f"started since {one_line(conditions.since, 60)}")
    if conditions.where:
        words.append(f"with {' and '.join(one_line(one, 100) for one in conditions.where)}")
    if conditions.filter.strip():
        words.append(f"where {one_line(conditions.filter, 300)}")
    if conditions.run_ids:
        words.append("picked one by one")
    if count > 1 and (order := order_in_words(conditions)):
        words.append(order)
    if conditions.at_most is not None:
        words.append(f"at most {conditions.at_most:,}")
    return ", ".join(words)


def count_in_words(selection: Selection, count: int, named: int = 3) -> str:
    """`12 runs of churn, prices, cats and 3 more`.

    Args:
        selection: where the names of the experiments are from.
        count: how many runs there are.
        named: experiments that are named before the rest is counted.
    """
    runs = counted(count, "deleted run" if selection.conditions.view == "deleted" else "run")
    return runs + (f" of {listed(selection.experiments, named)}" if selection.experiments else "")


def order_in_words(conditions: Conditions) -> str:
    """`best val_auc first`, `newest first`; "" where runs were picked one by one and keep that order."""
    if conditions.by is not None:
        return f"best {one_line(cut_metric(conditions.by)[0], 100)} first"
    if conditions.order_by:
        return f"ordered by {', '.join(one_line(one, 100) for one in conditions.order_by)}"
    return "" if conditions.run_ids else "newest first"


def is_repeatable(conditions: Conditions) -> bool:
    """Whether `notebook_command` makes the same choice; else it asks which runs, since too many were picked."""
    return len(conditions.run_ids) <= _RUNS_NAMED


def notebook_command(
    selection: Selection,
    settings: StudySettings,
    *,
    template: str | None = None,
    title: str | None = None,
    engine: str | None = None,
) -> str:
    """The command line that makes the same notebook, with what was said in the words it was said with.

    Args:
        selection: which runs; its tracking URI holds no secret, and neither does the command.
        settings: what the person said of how to look at them, without what [tool.qualia] says.
        template: as it was given; None where none was.
        title: as it was given; that of `default_title` is left out.
        engine: what aggregates the runs; None where they are read.

    Returns:
        Words for a POSIX shell; see `is_repeatable`.
    """
    words = [COMMAND, "--tracking-uri", selection.tracking_uri]
    words += _flags(
        ("--engine", engine),
        ("--template", template),
        ("--title", None if title == default_title(selection) else title),
    )
    if is_repeatable(selection.conditions):
        words += conditions_as_flags(selection.conditions)
    words += settings_as_flags(settings)
    return " ".join(map(for_shell, words))


def conditions_as_flags(conditions: Conditions) -> list[str]:
    """The flags that say which runs; `--yes` where they leave none out, which no other flag says."""
    words = [] if conditions.chooses else ["--yes"]
    for flag, texts in (
        ("--experiment", conditions.experiments),
        ("--run", conditions.run_ids),
        ("--where", conditions.where),
        ("--status", conditions.status),
        ("--order-by", conditions.order_by),
    ):
        words += _flags(*((flag, text) for text in texts))
    top, limit = conditions.top, conditions.limit
    if conditions.by is None:  # of an order that is said as one, the first are limited
        top, limit = None, conditions.at_most
    words += _flags(
        ("--filter", conditions.filter or None),
        ("--since", conditions.since),
        ("--by", conditions.by),
        ("--top", None if top is None else str(top)),
        ("--limit", None if limit is None else str(limit)),
    )
    return [*words, "--deleted"] if conditions.view == "deleted" else words


def settings_as_flags(settings: StudySettings) -> list[str]:
    """The flags that say how to look at the runs; what has no flag is left out."""
    metric = settings.metric
    if metric is not None and metric in settings.better:
        metric += ":max" if settings.better[metric] == "higher" else ":min"
    baseline = settings.baseline
    texts = [baseline] if isinstance(baseline, str) else [f"{key}={value}" for key, value in (baseline or {}).items()]
    difference = settings.smallest_difference
    words = _flags(
        ("--metric", metric),
        *(("--seeds", seed) for seed in (settings.seeds if settings.seeds != () else ("",)) or ()),
        *(("--factor", factor) for factor in settings.factors),
        *(("--label", label) for label in settings.labels),
        *(("--baseline", text) for text in texts),
        ("--smallest-difference", None if difference is None else repr(float(difference))),
    )
    return [*words, "--pool"] if settings.pool else words


def _flags(*said: tuple[str, str | None]) -> list[str]:
    """The flags that have a text, each followed by it."""
    return [word for flag, text in said if text is not None for word in (flag, text)]
