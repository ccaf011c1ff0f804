"""Writes small `mlruns` folders file by file, as MLflow's file store does, but with any contents and in no time."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


def write(path: Path, content: str | bytes) -> Path:
    """Write a file and the folders that it needs; return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def write_experiment(root: Path, number: int = 1, name: str = "first", **meta: Any) -> Path:
    """Write the meta.yaml of an experiment.

    Args:
        root: the `mlruns` folder.
        number: its id.
        name: its name.
        meta: further fields.

    Returns:
        The folder of the experiment.
    """
    fields = {"experiment_id": str(number), "name": name, "lifecycle_stage": "active"} | meta
    return write(root / str(number) / "meta.yaml", yaml.safe_dump(fields)).parent


def write_run(
    experiment: Path,
    run_id: str,
    *,
    params: Mapping[str, str] | None = None,
    metrics: Mapping[str, Iterable[tuple[Any, Any, Any]]] | None = None,
    tags: Mapping[str, str] | None = None,
    **meta: Any,
) -> Path:
    """Write the files of a run.

    Args:
        experiment: the folder of its experiment.
        run_id: its id.
        params: the text of each.
        metrics: the points of each: timestamp, value, step.
        tags: the text of each.
        meta: fields of meta.yaml other than those of a finished run, or with other values.

    Returns:
        The folder of the run.
    """
    folder = experiment / run_id
    fields = {"run_id": run_id, "experiment_id": experiment.name, "run_name": "r", "lifecycle_stage": "active"}
    fields |= {"status": 3, "start_time": 1000, "end_time": 2000} | meta
    write(folder / "meta.yaml", yaml.safe_dump(fields))
    for kind, texts in (("params", params), ("tags", tags)):
        for key, text in (texts or {}).items():
            write(folder / kind / key, text)
    for key, points in (metrics or {}).items():
        write(folder / "metrics" / key, "".join(f"{timestamp} {value} {step}\n" for timestamp, value, step in points))
    return folder


def write_trace(
    experiment: Path,
    trace_id: str,
    info: Mapping[str, Any],
    *,
    tags: Mapping[str, str] | None = None,
    metadata: Mapping[str, str] | None = None,
    assessments: Iterable[Mapping[str, Any]] = (),
    spans: Iterable[Mapping[str, Any]] = (),
) -> Path:
    """Write the files of a trace.

    Args:
        experiment: the folder of its experiment.
        trace_id: its id.
        info: the content of trace_info.yaml.
        tags: the text of each, beside the address of its artifacts.
        metadata: the text of each.
        assessments: the content of the file of each.
        spans: the content of traces.json.

    Returns:
        The folder of the trace.
    """
    folder = experiment / "traces" / trace_id
    write(folder / "trace_info.yaml", yaml.safe_dump(dict(info), allow_unicode=True))
    tags = {"mlflow.artifactLocation": str(folder / "artifacts")} | dict(tags or {})
    for kind, texts in (("tags", tags), ("request_metadata", metadata)):
        for key, text in (texts or {}).items():
            write(folder / kind / key, text)
    for assessment in assessments:
        content = yaml.safe_dump({"trace_id": trace_id} | dict(assessment), allow_unicode=True)
        write(folder / "assessments" / f"{assessment['assessment_id']}.yaml", content)
    write(folder / "artifacts" / "traces.json", json.dumps({"spans": list(spans)}))
    return folder
