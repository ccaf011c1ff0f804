"""Logged models and versions of registered models as rows: nested for JSON, flat for CSV, and as cells of a table."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

from qualia_lab.console_table import Column
from qualia_lab.counts import and_more
from qualia_lab.escaping import for_shell, one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.genai_tables import ModelTables

MEASURED = 6  # so many metrics are columns of a table; the others are only counted
_NO_STAGE = (None, "", "None")


def nested_rows(tables: ModelTables, names: Mapping[str, str]) -> list[dict[str, Any]]:
    """A dict per logged model, and per version without one, the latest first.

    Each has its `outputs` (runs with steps), `params`, `tags`, `metrics` (the latest point per key and dataset) and
    `versions`, each with its `aliases` and `tags`.

    Args:
        tables: the models.
        names: the name of each experiment by its id.
    """
    rows = {
        row["model_id"]: {"experiment": names.get(row["experiment_id"])}
        | row
        | {"outputs": [], "params": {}, "tags": {}, "metrics": [], "versions": []}
        for row in tables.models.to_pylist()
    }
    for row in tables.outputs.to_pylist():
        if row["model_id"] in rows:
            rows[row["model_id"]]["outputs"].append({"run_id": row["run_id"], "step": row["step"]})
    for kind in ("params", "tags"):
        for row in getattr(tables, kind).to_pylist():
            if row["model_id"] in rows:
                rows[row["model_id"]][kind][row["key"]] = row["value"]
    latest: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in tables.metrics.to_pylist():  # by step and time, so the last one stays
        latest[row["model_id"], row["key"], row["dataset_name"], row["dataset_digest"]] = row
    for row in latest.values():
        if row["model_id"] in rows:
            rows[row["model_id"]]["metrics"].append({name: value for name, value in row.items() if name != "model_id"})
    others = []
    for version in _versions(tables):
        if version["model_id"] in rows:
            rows[version["model_id"]]["versions"].append(version)
        else:
            others.append(_row_of(version))
    return sorted((*rows.values(), *others), key=lambda row: -(row["creation_time"] or 0))


def _versions(tables: ModelTables) -> list[dict[str, Any]]:
    """Every version with its aliases and tags."""
    versions = {(row["name"], row["version"]): row | {"aliases": [], "tags": {}} for row in tables.versions.to_pylist()}
    for row in tables.aliases.to_pylist():
        if (row["name"], row["version"]) in versions:
            versions[row["name"], row["version"]]["aliases"].append(row["alias"])
    for row in tables.version_tags.to_pylist():
        if (row["name"], row["version"]) in versions:
            versions[row["name"], row["version"]]["tags"][row["key"]] = row["value"]
    return list(versions.values())


def _row_of(version: Mapping[str, Any]) -> dict[str, Any]:
    """The row of a version whose logged model is not in the tables, as before MLflow 3."""
    empty = dict.fromkeys(("experiment", "experiment_id", "model_type"))
    same = ("model_id", "run_id", "name", "status", "status_message", "creation_time", "last_updated_time")
    row = empty | {name: version[name] for name in same} | {"artifact_location": version["source"]}
    return row | {"outputs": [], "params": {}, "tags": {}, "metrics": [], "versions": [version]}


def flat_rows(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[dict[str, Any]]]:
    """Columns and rows without nesting: `params.lr`, `tags.stage`, `metrics.accuracy (valid)`."""
    flat: list[dict[str, Any]] = []
    keys: dict[str, None] = {}
    for row in rows:
        values = {"step": step_of(row), "registered_as": registered(row)}
        own = {f"{kind}.{key}": value for kind in ("params", "tags") for key, value in row[kind].items()}
        own |= {f"metrics.{title}": value for title, value in metrics_of(row).items()}
        keys |= dict.fromkeys(own)
        simple = {name: value for name, value in row.items() if not isinstance(value, list | dict)}
        flat.append(simple | values | own)
    fixed = [name for name, value in rows[0].items() if not isinstance(value, list | dict)]
    return [*fixed, "step", "registered_as", *sorted(keys)], flat


def table_of(
    rows: Sequence[Mapping[str, Any]], count: int, requested: Sequence[str], first: str | None = None
) -> tuple[list[Column], list[list[str]], int]:
    """The columns and cells of a table, and the number of metrics that have no column.

    Args:
        rows: rows of `nested_rows`, of which the first are shown.
        count: how many are shown.
        requested: show these metrics, of every dataset; () for those that most models have.
        first: the title of the metric that comes first; None for none.
    """
    from qualia_lab.chooser.formatting import age, number

    measured = [metrics_of(row) for row in rows]
    counts = Counter(title for each in measured for title in each)
    keys = {title: point["key"] for row in rows for title, point in _points(row).items()}
    if requested:
        titles = sorted((title for title in counts if keys[title] in requested), key=lambda t: requested.index(keys[t]))
    else:
        titles = [title for title, _ in counts.most_common(MEASURED)]
    if first is not None:
        titles = [first, *(title for title in titles if title != first)]
    several = len({row["experiment_id"] for row in rows}) > 1
    columns = [Column("model", name=True), Column("model id", short=10), Column("step", right=True)]
    columns += [Column("run", short=8)]
    columns += [Column("experiment", early=True)] if several else []
    columns += [Column("type", early=True), Column("status"), Column("created"), Column("registered as")]
    columns += [Column(title, right=True) for title in titles]
    cells = []
    for row, metrics in zip(rows[:count], measured, strict=False):
        step = step_of(row)
        cell = [row["name"] or "", row["model_id"] or "", "" if step is None else f"{step:,}", row["run_id"] or ""]
        cell += [row["experiment"] or row["experiment_id"] or ""] if several else []
        cell += [row["model_type"] or "", (row["status"] or "").lower(), age(row["creation_time"]), registered(row)]
        cells.append([*cell, *(number(metrics.get(title)) for title in titles)])
    return columns, cells, len(counts) - len(titles)


def ranked(rows: Sequence[dict[str, Any]], by: str) -> tuple[str, list[dict[str, Any]]]:
    """The title of a metric, and the rows by its latest value: the best first, NaN and missing values last.

    Args:
        rows: rows of `nested_rows`.
        by: `METRIC`, `METRIC:max` or `METRIC:min`; the metric is a key, or a title such as `accuracy (valid)`.

    Raises:
        UnknownKey: no model has the metric.
        FilterError: the metric has values on several datasets, or it is not known what is better.
    """
    from qualia_lab.errors import FilterError
    from qualia_lab.selection import split_metric
    from qualia_lab.settings import read_settings
    from qualia_lab.study.known_keys import unknown_key
    from qualia_lab.study.metrics import direction_of

    metric, better = split_metric(by)
    keys = {title: point["key"] for row in rows for title, point in _points(row).items()}
    titles = [metric] if metric in keys else sorted(title for title, key in keys.items() if key == metric)
    if not titles:
        raise unknown_key(metric, list(keys), "metric of a model")
    shown = [one_line(title, 100) for title in titles]
    if len(titles) > 1:
        message = f"{one_line(metric, 100)} was measured on {len(titles)} datasets: {and_more(shown, 5)}."
        raise FilterError(message, f"Name one of them: --by {for_shell(titles[0])}", text=by)
    better = better or direction_of(keys[titles[0]], read_settings().study)[0]
    if better is None:
        message = f"Whether more of {shown[0]} is better cannot be told from its name."
        raise FilterError(
            message, f"Use --by {for_shell(f'{titles[0]}:max')} or --by {for_shell(f'{titles[0]}:min')}", text=by
        )
    sign = -1 if better == "higher" else 1

    def order(row: Mapping[str, Any]) -> tuple[int, float]:
        value = metrics_of(row).get(titles[0])
        return (2, 0.0) if value is None else (1, 0.0) if math.isnan(value) else (0, sign * value)

    return titles[0], sorted(rows, key=order)


def step_of(row: Mapping[str, Any]) -> int | None:
    """The step at which the run that created the model saved it; else the first that a run lists."""
    steps = [output["step"] for output in row["outputs"] if output["run_id"] == row["run_id"]]
    steps += [output["step"] for output in row["outputs"]]
    return steps[0] if steps else None


def metrics_of(row: Mapping[str, Any]) -> dict[str, float | None]:
    """The latest value of each metric by its title: `accuracy`, `accuracy (valid)`."""
    return {title: point["value"] for title, point in _points(row).items()}


def _points(row: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The latest point of each metric by its title; the digest tells datasets of one name apart."""
    datasets = {(point["key"], point["dataset_name"], point["dataset_digest"]) for point in row["metrics"]}
    names = Counter((key, name) for key, name, _ in datasets)
    titles = {}
    for point in row["metrics"]:
        name = point["dataset_name"] or ""
        if names[point["key"], point["dataset_name"]] > 1 and point["dataset_digest"]:
            name = f"{name} {point['dataset_digest']}".strip()
        titles[f"{point['key']} ({name})" if name else point["key"]] = point
    return titles


def registered(row: Mapping[str, Any]) -> str:
    """`classifier v3 @champion, ranker v1 (Staging)`; "" for a model that is not registered."""
    words = []
    for version in row["versions"]:
        aliases = "".join(f" @{alias}" for alias in version["aliases"])
        stage = f" ({version['stage']})" if version["stage"] not in _NO_STAGE else ""
        words.append(f"{version['name']} v{version['version']}{aliases}{stage}")
    return ", ".join(words)
