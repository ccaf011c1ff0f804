"""Reads the experiments and runs of an mlruns folder as rows: all but the points of metrics."""

# Paths are plain strings: creating a Path object for each file takes longer than opening the file.
# ruff: noqa: PTH118, PTH119

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from qualia_lab.stores.file.mlruns import Unreadable, read_meta
from qualia_lab.stores.file.models import is_stray, model_row
from qualia_lab.stores.rows import Fields
from qualia_lab.stores.values import RUN_STATUSES, decoded, status, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qualia_lab.stores.file.folders import Experiment
    from qualia_lab.stores.file.mlruns import Root
    from qualia_lab.stores.rows import Row, Rows


class FolderRuns:
    """Experiments and runs; what cannot be read is reported in the rows."""

    def __init__(self, root: Root) -> None:
        self._root = root

    def meta(self, run_id: str | None, subject: str, path: str, rows: Rows) -> Row:
        """The meta.yaml of a folder; if it cannot be read, that is reported and the result is empty."""
        try:
            self._root.check(path)
            return dict(read_meta(self._root, os.path.join(path, "meta.yaml")))
        except Unreadable as error:
            rows.add_problem(run_id, subject, f"meta.yaml: {error}")
            return {}

    def files(self, run_id: str | None, path: str, part: str, rows: Rows) -> Iterator[tuple[str, str]]:
        """(key, path) of the files in one subfolder of a run, such as params; a failure is reported."""
        try:
            for key, file in sorted(self._root.files(os.path.join(path, part))):
                yield text(key) or "", file
        except Unreadable as error:
            rows.add_problem(run_id, part, error)

    def _values(self, run_id: str | None, path: str, part: str, rows: Rows) -> dict[str, str]:
        """{key: value} of params or tags, one file each; files that cannot be read are reported."""
        values = {}
        for key, file in self.files(run_id, path, part, rows):
            try:
                data = self._root.read(file)
            except FileNotFoundError:
                continue  # deleted since the folder was listed
            except Unreadable as error:
                rows.add_problem(run_id, f"{part.removesuffix('s')} {key}", error)
                continue
            values[key] = decoded(data)
            if "\\x" in values[key] and not _is_utf8(data):
                rows.add_problem(
                    run_id, f"{part.removesuffix('s')} {key}", "it is not UTF-8; invalid bytes are shown as \\xNN"
                )
        return values

    def experiment_row(self, experiment: Experiment, rows: Rows) -> Row:
        """The row of one experiment."""
        meta = Fields(self.meta(None, f"experiment {experiment.experiment_id}", experiment.path, rows), rows)
        return {
            "experiment_id": text(experiment.experiment_id),
            "name": meta.text("name") or text(experiment.experiment_id),
            "artifact_location": meta.text("artifact_location"),
            "lifecycle_stage": experiment.lifecycle_stage(meta.text("lifecycle_stage")),
            "creation_time": meta.integer("creation_time"),
            "last_update_time": meta.integer("last_update_time"),
        }

    def run_row(self, experiment: Experiment, run_id: str, path: str, tags: dict[str, str] | None, rows: Rows) -> Row:
        """The row of one run. `tags`: its tags if they have been read; None reads only the necessary ones."""
        meta = Fields(self.meta(run_id, "run", path, rows), rows, run_id)
        recorded = meta.text("experiment_id")
        if recorded not in (None, experiment.experiment_id):
            rows.add_problem(
                run_id, "experiment_id", f"meta.yaml says {recorded}, the folder is {experiment.experiment_id}"
            )
        name = meta.text("run_name")
        if not name:
            name = self._tag(path, "mlflow.runName", tags) or meta.text("name")
        return {
            "run_id": text(run_id),
            "experiment_id": text(experiment.experiment_id),
            "run_name": name,
            "status": status(meta.text("status"), RUN_STATUSES),
            "start_time": meta.integer("start_time"),
            "end_time": meta.integer("end_time"),
            "user_id": meta.text("user_id"),
            "lifecycle_stage": experiment.lifecycle_stage(meta.text("lifecycle_stage")),
            "artifact_uri": meta.text("artifact_uri"),
            "parent_run_id": self._tag(path, "mlflow.parentRunId", tags),
        }

    def _tag(self, path: str, key: str, tags: dict[str, str] | None) -> str | None:
        """One tag of a run, from its tags if they have been read, else from its file."""
        if tags is not None:
            return tags.get(key)
        folder = os.path.join(path, "tags")
        try:
            self._root.check(path)
            self._root.check(folder)
            return decoded(self._root.read(os.path.join(folder, key)))
        except (Unreadable, FileNotFoundError):
            return None

    def read_run(self, experiment: Experiment, run_id: str, path: str, rows: Rows) -> None:
        """Add a run with its tags and params to the rows."""
        tags = self._values(run_id, path, "tags", rows)
        rows.tables["runs"].append(self.run_row(experiment, run_id, path, tags, rows))
        rows.add_values("tags", {"run_id": run_id}, tags)
        rows.add_values("params", {"run_id": run_id}, self._values(run_id, path, "params", rows))

    def read_inputs(self, run_id: str, path: str, datasets: dict[str, Row], rows: Rows) -> None:
        """Add the datasets of a run to the rows: inputs/ID/meta.yaml names a folder of its experiment's datasets."""
        for subject, folder in self._folders(run_id, os.path.join(path, "inputs"), rows).items():
            meta = self.meta(run_id, f"input {subject}", folder, rows)
            if meta.get("source_type") != "DATASET":
                continue
            dataset = datasets.get(str(meta.get("source_id")))
            if dataset is None:
                rows.add_problem(run_id, f"input {subject}", "its dataset is not in the store")
                continue
            tags = meta.get("tags")
            context = tags.get("mlflow.data.context") if isinstance(tags, dict) else None
            rows.tables["datasets"].append({"run_id": run_id, **dataset, "context": text(context)})

    def read_outputs(self, run_id: str, path: str, models: dict[str, Row], rows: Rows) -> None:
        """Add the logged models of a run to the rows: those that it created, and those in outputs/MODEL_ID."""
        outputs = self._folders(run_id, os.path.join(path, "outputs"), rows)
        for model_id, model in models.items():
            if model["run_id"] == run_id or model_id in outputs:
                rows.tables["logged_models"].append({**model, "run_id": run_id})

    def read_experiment(self, experiment: Experiment, rows: Rows) -> None:
        """Add an experiment and its tags to the rows."""
        rows.tables["experiments"].append(self.experiment_row(experiment, rows))
        experiment_id = text(experiment.experiment_id)
        tags = self._values(None, experiment.path, "tags", rows)
        rows.add_values("experiment_tags", {"experiment_id": experiment_id}, tags)

    def models(self, experiment: Experiment, rows: Rows) -> dict[str, Row]:
        """The logged models of an experiment as {model_id: row}; run_id is the run that created the model."""
        found = {}
        for name, folder in self._folders(None, os.path.join(experiment.path, "models"), rows).items():
            if is_stray(folder):
                continue
            meta = self.meta(None, f"logged model {name}", folder, rows)
            if meta.get("lifecycle_stage") != "deleted":
                found[name] = model_row(name, experiment.experiment_id, meta, rows, None)
        return found

    def datasets(self, experiment: Experiment, rows: Rows) -> dict[str, Row]:
        """The datasets of an experiment as {id: row}."""
        columns = ("name", "digest", "source_type", "source", "schema", "profile")
        found = {}
        for name, folder in self._folders(None, os.path.join(experiment.path, "datasets"), rows).items():
            meta = Fields(self.meta(None, f"dataset {name}", folder, rows), rows)
            found[name] = {column: meta.text(column) for column in columns}
        return found

    def _folders(self, run_id: str | None, path: str, rows: Rows) -> dict[str, str]:
        """The subfolders of a folder as {name: path}; a failure is reported."""
        try:
            return self._root.folders(path)
        except Unreadable as error:
            rows.add_problem(run_id, os.path.basename(path), error)
            return {}


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
