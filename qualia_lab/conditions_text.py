"""Format conditions and settings as text and as command-line flags, for titles, messages and commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.counts import counted
from qualia_lab.escaping import for_shell, one_line
from qualia_lab.masking.privacy import EVERYTHING_SHOWN
from qualia_lab.selection import split_metric
from qualia_lab.study.sentences import listed

if TYPE_CHECKING:
    from qualia_lab.masking.privacy import Privacy
    from qualia_lab.selection import Conditions, Selection
    from qualia_lab.study.settings import StudySettings

COMMAND = "create-observation-notebook"

# The maximum number of run ids in the command of a notebook; more would fill the first screen.
_MAX_RUN_IDS = 12


def default_title(selection: Selection) -> str:
    """The default title of a notebook, such as `churn: 12 runs` or `support: traces`."""
    what = counted(len(selection.run_ids), "run") if selection.traces is None else "traces"
    return f"{listed(selection.experiments, 3)}: {what}"


def choice_in_words(selection: Selection, count: int) -> str:
    """Describe a selection: `12 runs of churn, FINISHED, with lr=0.1, best val_auc first, at most 12`.

    Args:
        selection: the selection; its conditions are quoted as they were given.
        count: the number of runs, or of traces if it is a selection of traces.

    Returns:
        Plain text.
    """
    conditions, traces = selection.conditions, selection.traces
    words = [count_in_words(selection, count, 5)]
    if conditions.status:
        words.append(" or ".join(conditions.status))
    if conditions.since:
        words.append(f"{'started' if traces is None else 'requested'} since {one_line(conditions.since, 60)}")
    if conditions.where:
        words.append(f"with {' and '.join(one_line(comparison, 100) for comparison in conditions.where)}")
    if conditions.filter.strip():
        words.append(f"where {one_line(conditions.filter, 300)}")
    if conditions.run_ids:
        words.append("picked one by one" if traces is None else f"of {counted(len(conditions.run_ids), 'run')}")
    if count > 1 and (order := order_in_words(conditions)):
        words.append(order if traces is None else order.replace("newest", "latest"))
    at_most = conditions.at_most if traces is None else traces.limit
    if at_most is not None and (traces is None or count >= at_most):
        words.append(f"at most {at_most:,}")
    return ", ".join(words)


def count_in_words(selection: Selection, count: int, named: int = 3) -> str:
    """Describe the number of runs: `12 runs of churn, prices, cats and 3 more`.

    Args:
        selection: the selection, for the names of the experiments.
        count: the number of runs or traces.
        named: the maximum number of experiments to name.

    Returns:
        Plain text.
    """
    word = "run" if selection.traces is None else "trace"
    runs = counted(count, "deleted run" if selection.conditions.view == "deleted" else word)
    return runs + (f" of {listed(selection.experiments, named)}" if selection.experiments else "")


def order_in_words(conditions: Conditions) -> str:
    """Describe the order: `best val_auc first`, `newest first`; "" for runs selected by id, which keep their order."""
    if conditions.by is not None:
        return f"best {one_line(split_metric(conditions.by)[0], 100)} first"
    if conditions.order_by:
        return f"ordered by {', '.join(one_line(order, 100) for order in conditions.order_by)}"
    return "" if conditions.run_ids else "newest first"


def is_repeatable(conditions: Conditions) -> bool:
    """Whether `notebook_command` selects the same runs; with too many run ids it omits them, and the command asks."""
    return len(conditions.run_ids) <= _MAX_RUN_IDS


def notebook_command(
    selection: Selection,
    settings: StudySettings,
    *,
    template: str | None = None,
    title: str | None = None,
    engine: str | None = None,
    privacy: Privacy = EVERYTHING_SHOWN,
) -> str:
    """The command line that creates the same notebook, with the conditions and settings as they were given.

    Args:
        selection: the selected runs; neither its tracking URI nor the command contains a secret.
        settings: the settings given by the user, without those of [tool.qualia].
        template: the template as given; None for the default.
        title: the title as given; `default_title` is omitted.
        engine: the engine that aggregates the runs; None if they are read.
        privacy: what of people's words is left out.

    Returns:
        A command line for a POSIX shell; see also `is_repeatable`.
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
    words += ["--redact"] if privacy.redact else []
    words += [] if privacy.content else ["--no-content"]
    return " ".join(map(for_shell, words))


def conditions_as_flags(conditions: Conditions) -> list[str]:
    """The flags for conditions; `--yes` if they exclude no runs, which no other flag expresses."""
    words = [] if conditions.restricts else ["--yes"]
    for flag, texts in (
        ("--experiment", conditions.experiments),
        ("--run", conditions.run_ids),
        ("--where", conditions.where),
        ("--status", conditions.status),
        ("--order-by", conditions.order_by),
    ):
        words += _flags(*((flag, text) for text in texts))
    top, limit = conditions.top, conditions.limit
    if conditions.by is None:  # `--top` needs `--by`; for another order, `--limit` has the same effect
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
    """The flags for settings; settings without a flag are omitted."""
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


def _flags(*flags: tuple[str, str | None]) -> list[str]:
    """The flags with a value, each followed by its value."""
    return [word for flag, text in flags if text is not None for word in (flag, text)]
