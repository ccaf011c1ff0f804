"""What a selection leaves open is filled: by the project's settings, by the experiments' tags, by names."""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING

from qualia_lab.analysis.baseline import choose_baseline
from qualia_lab.analysis.direction import NAME_TAG, direction_of, find_primary_metric
from qualia_lab.analysis.groups import group_runs
from qualia_lab.errors import NoRunMatches, QualiaLabError
from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pyarrow as pa

    from qualia_lab.inventory import Inventory
    from qualia_lab.selection import Selection
    from qualia_lab.settings import Settings
    from qualia_lab.tables import RunTables

_WAYS = {True: "more is better", False: "less is better", None: "whether more or less of it is better is not known"}


def fill_selection(
    selection: Selection,
    inventory: Inventory,
    experiment_tags: pa.Table,
    settings: Settings,
    tables: RunTables | None = None,
) -> Selection:
    """The selection with primary metric, direction, seeds and baseline, and notes that say where they are from.

    What was asked for has to be there: raises NoRunMatches or QualiaLabError when it is not. What the settings say is
    for all notebooks of a project: where these runs lack it, a note says so and the rest goes on.
    tables: None where the runs are aggregated and not read: then no configuration is the baseline.
    """
    selection = _fill_metric(selection, inventory, experiment_tags, settings)
    if settings.findings:
        from qualia_lab.analysis.findings.settings import chosen_thresholds

        chosen_thresholds(settings.findings)
        selection = replace(selection, findings=settings.findings)
    keys = [param.key for param in inventory.params]
    notes = list(selection.notes)
    if selection.seeds is not None:
        for key in selection.seeds:
            check_key(key, keys, "param")
    elif settings.seeds is not None:
        selection = replace(selection, seeds=tuple(key for key in settings.seeds if key in keys))
    if tables is None:
        return replace(selection, baseline=None)
    if selection.baseline is not None:
        _check_baseline(selection.baseline, selection, tables)
    elif settings.baseline is not None:
        try:
            _check_baseline(settings.baseline, selection, tables)
            selection = replace(selection, baseline=settings.baseline)
        except QualiaLabError as error:
            notes.append(f"The baseline of [tool.qualia] is not here: {error.message}")
    return replace(selection, notes=tuple(notes))


def cut_metric(text: str) -> tuple[str, bool | None]:
    """`val_auc:max` as a metric and whether more is better, None where no word says it."""
    metric, colon, word = text.rpartition(":")
    return (metric, word == "max") if metric and colon and word in ("max", "min") else (text, None)


def check_key(key: str, keys: Iterable[str], what: str) -> None:
    """Raise NoRunMatches, with what might have been meant, when a key is not among these."""
    known = sorted(set(keys))
    if key in known:
        return
    near = get_close_matches(key, known, n=3) or known[:5]
    raise NoRunMatches(
        f"None of these runs has a {what} {one_line(key, 100)}.",
        f"There is {', '.join(one_line(one, 60) for one in near)}." if near else f"They have no {what} at all.",
    )


def _fill_metric(
    selection: Selection, inventory: Inventory, experiment_tags: pa.Table, settings: Settings
) -> Selection:
    notes: list[str] = []
    found, found_better = find_primary_metric(inventory, experiment_tags)
    metric, better, why = selection.primary_metric, selection.greater_is_better, "as was asked for"
    keys = {count.key for count in inventory.metrics}
    if metric is not None:
        check_key(metric, keys, "metric")
    elif settings.metric is not None:
        named, better = cut_metric(settings.metric)
        if named in keys:
            metric, why = named, "by [tool.qualia]"
        else:
            notes.append(f"The metric {named} of [tool.qualia] is in none of these runs.")
            better = None
    if metric is None:
        tagged = {row["value"] for row in experiment_tags.to_pylist() if row["key"] == NAME_TAG}
        metric, why = found, "by the experiment's tags" if tagged == {found} else "by its name"
    if metric is None:
        return replace(selection, notes=tuple(notes))
    if better is None:
        better = found_better if metric == found else direction_of(metric)
    notes.insert(0, f"The primary metric is {metric}, {why}; {_WAYS[better]}.")
    return replace(selection, primary_metric=metric, greater_is_better=better, notes=tuple(notes))


def _check_baseline(baseline: str | Mapping[str, str], selection: Selection, tables: RunTables) -> None:
    """Raise QualiaLabError when no configuration of the runs, or more than one, is that baseline."""
    if isinstance(baseline, str):
        names = tables.runs.column("run_name").to_pylist()
        if names.count(baseline) == 1:
            baseline = tables.run_ids[names.index(baseline)]
    choose_baseline(group_runs(tables, selection.primary_metric or "", selection.seeds), {}, baseline)
