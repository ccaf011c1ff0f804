"""Candidates: the configurations to choose from, best first, with the other facts that matter for the choice."""

from __future__ import annotations

from statistics import fmean, median
from typing import TYPE_CHECKING

from qualia_lab.analysis.findings.naming import whole_names
from qualia_lab.analysis.models import model_folders, named_models
from qualia_lab.analysis.scores import scores
from qualia_lab.errors import QualiaLabError
from qualia_lab.escaping import one_line
from qualia_lab.runs.group_tables import best_first, headings, why_n
from qualia_lab.study.left_out import names_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from qualia_lab.analysis.groups import Group
    from qualia_lab.runs.loaded import Loaded


def candidate_table(
    loaded: Loaded, metrics: Sequence[str], metric: str | None, statistic: str, limit: int
) -> pd.DataFrame:
    """A row per configuration, at most `limit` per task; see `Runs.candidates`."""
    import pandas as pd

    groups = best_first(loaded.groups(metric, statistic))
    shown = _first_of_each(groups, limit)
    head = headings(loaded, metric, statistic)
    loaded.check_metrics(metrics)
    others = {key: scores(loaded.tables, key).values for key in metrics if key not in {one.metric for one in groups}}  # noqa: PD011 - of no DataFrame
    took, models = _took(loaded), _models(loaded, [group.best_run for group in shown])
    names: dict[str, str] = {}
    run_names = names_of(loaded.tables)
    for task in loaded.study.tasks:
        own = [one.configuration for one in groups if one.experiment_id == task.experiment_id]
        names |= whole_names(own, run_names)
    rows = []
    for group in shown:
        run_ids = group.run_ids
        counted = [run_id for run_id in run_ids if run_id not in loaded.left_out]
        row: dict[str, object] = head.of(group, loaded) | {
            "candidate": one_line(names[group.run_ids[0]], 120),
            "n": len(group.values),
            "runs": len(run_ids),
            head.mean: group.mean,
            "95 % low": group.interval.low if group.interval else None,
            "95 % high": group.interval.high if group.interval else None,
        }
        for key, values in others.items():
            row[f"mean {key}"] = fmean(known) if (known := [values[r] for r in counted if r in values]) else None
        with_model = [run_id for run_id in run_ids if models.get(run_id)]
        best = group.best_run or run_ids[0]
        rows.append(
            row
            | {
                "took (s)": round(median(known), 1) if (known := [took[r] for r in counted if r in took]) else None,
                **why_n(group, groups),
                "with model": f"{len(with_model)} of {len(run_ids)}",
                "model": one_line(", ".join(dict.fromkeys(name for r in with_model for name in models[r])), 60),
                "first run" if group.greater_is_better is None else "best run": loaded.labels[best],
                "run_id": best,
            }
        )
    frame = pd.DataFrame(rows).convert_dtypes()
    frame.attrs["showing"] = f"{len(shown)} of {len(groups)}"
    return frame


def _first_of_each(groups: Sequence[Group], limit: int) -> list[Group]:
    """The first ones of each task."""
    count: dict[str, int] = {}
    shown = []
    for group in groups:
        count[group.experiment_id] = count.get(group.experiment_id, 0) + 1
        if count[group.experiment_id] <= limit:
            shown.append(group)
    return shown


def _took(loaded: Loaded) -> Mapping[str, float]:
    """Seconds by run, of those with a start and an end."""
    runs = loaded.tables.runs
    columns = (runs.column(name).to_pylist() for name in ("run_id", "start_time", "end_time"))
    return {
        run_id: (end - start) / 1000
        for run_id, start, end in zip(*columns, strict=True)
        if start is not None and end is not None
    }


def _models(loaded: Loaded, looked_into: Sequence[str | None]) -> Mapping[str, tuple[str, ...]]:
    """The names of models by run; the files of some runs are looked through where they name none."""
    found = named_models(loaded.tables)
    for run_id in looked_into:
        if run_id is None or run_id in found:
            continue
        try:
            _, files, _ = loaded.files.of_run(run_id)
        except QualiaLabError:
            continue
        if folders := model_folders([file.path for file in files]):
            found[run_id] = folders
    return found
