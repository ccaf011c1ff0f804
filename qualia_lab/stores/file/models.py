"""Reads the logged models of an mlruns folder, EXPERIMENT/models/MODEL_ID, and its registry, models/NAME/version-N."""

# Paths are plain strings: creating a Path object for each file takes longer than opening the file.
# ruff: noqa: PTH112, PTH118

from __future__ import annotations

import os
import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from qualia_lab import schema
from qualia_lab.genai_tables import ModelTables
from qualia_lab.stores.file.mlruns import Unreadable, read_meta
from qualia_lab.stores.file.points import has_complete_last_line, lines_of, parse_point
from qualia_lab.stores.genai_rows import GenAIRows, order_of_points
from qualia_lab.stores.model_sources import model_id_of
from qualia_lab.stores.rows import Fields
from qualia_lab.stores.values import MODEL_STATUSES, decoded, integer, status, text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from qualia_lab.stores.file.mlruns import Root
    from qualia_lab.stores.rows import Reports, Row

    _Folder = tuple[str, str]  # the id of the experiment, the path

_VERSION = re.compile(r"version-([0-9]{1,18})\Z")
_LARGEST_METRIC = 64 << 20  # bytes of a file
_IS_PROMPT = "mlflow.prompt.is_prompt"  # prompts are kept in the registry, too
_DELETED_STAGE = "Deleted_Internal"


def model_row(model_id: str, experiment_id: str, meta: Mapping[str, Any], rows: Reports, of: str | None) -> Row:
    """A logged model as a row of schema.MODELS.

    Args:
        model_id: the name of its folder.
        experiment_id: the experiment in whose folder it is.
        meta: its meta.yaml.
        rows: where values that cannot be read are reported.
        of: what they belong to, in the report.
    """
    fields = Fields(meta, rows, of)
    return {
        "model_id": text(model_id),
        "experiment_id": text(experiment_id),
        "run_id": fields.text("source_run_id"),
        "name": fields.text("name"),
        "model_type": fields.text("model_type"),
        "status": status(fields.text("status"), MODEL_STATUSES),
        "status_message": fields.text("status_message"),
        "artifact_location": fields.text("artifact_location"),
        "creation_time": fields.integer("creation_timestamp"),
        "last_updated_time": fields.integer("last_updated_timestamp"),
    }


class FolderModels:
    """The logged models and the registry of one mlruns folder."""

    def __init__(self, root: Root) -> None:
        self._root = root

    def read(
        self,
        experiments: Mapping[str, str],
        runs: Mapping[str, str],
        wanted: Collection[str] | None,
        wanted_runs: Collection[str],
        version_runs: Collection[str],
    ) -> ModelTables:
        """Logged models and versions.

        Args:
            experiments: the folders of all experiments, by id.
            runs: the folders of all runs, by id.
            wanted: the experiments whose models to read; None for all of the store.
            wanted_runs: also the models that these runs created or list as outputs.
            version_runs: beside the versions of these models, those of these runs.
        """
        rows = GenAIRows(schema.MODEL_TABLES)
        outputs = [row for run_id, path in runs.items() for row in self._outputs(run_id, path, rows)]
        listed = {model_id for run_id, model_id, _ in outputs if run_id in wanted_runs}
        found, strays = [], defaultdict(list)
        for experiment_id, path in experiments.items():
            is_wanted = wanted is None or experiment_id in wanted
            for model_id, folder in self._folders(f"models of experiment {experiment_id}", path, "models", rows):
                if is_stray(folder):
                    strays[model_id].append(folder)
                elif is_wanted or wanted_runs:
                    row = self._model(model_id, experiment_id, folder, rows)
                    if row is not None and (is_wanted or model_id in listed or row["run_id"] in wanted_runs):
                        found.append((row, folder))
        found.sort(key=lambda item: (item[0]["creation_time"] or 0, item[0]["model_id"]))
        for row, folder in found:
            rows.tables["models"].append(tuple(row.values()))
            self._add_content(row, folder, strays[row["model_id"]], rows)
        model_ids = {row["model_id"] for row, _ in found}
        rows.tables["outputs"] += [row for row in outputs if row[1] in model_ids]
        self._add_versions(None if wanted is None else (model_ids, version_runs), rows)
        return ModelTables(**rows.to_tables())

    # Logged models

    def _model(self, model_id: str, experiment_id: str, folder: str, rows: GenAIRows) -> Row | None:
        """The row of a model; None if it was deleted or cannot be read."""
        of = f"logged model {model_id}"
        meta = self._meta(of, folder, rows)
        if not meta or meta.get("lifecycle_stage") == "deleted":
            return None
        return model_row(model_id, experiment_id, meta, rows, of)

    def _add_content(self, model: Row, folder: str, strays: Iterable[str], rows: GenAIRows) -> None:
        """Add the params, tags and metrics of a model; see `is_stray`."""
        model_id = model["model_id"]
        of = f"logged model {model_id}"
        for part in ("params", "tags"):
            rows.add_values(part, (model_id,), self._values(of, folder, part, rows))
        is_complete = model["status"] in ("READY", "FAILED")
        points = [
            (model_id, *point)
            for place in (folder, *strays)
            for key, file in self._files(of, place, "metrics", rows)
            for point in self._points(of, key, file, rows, is_complete=is_complete)
        ]
        rows.tables["metrics"] += sorted(points, key=order_of_points)

    def _points(self, of: str, key: str, file: str, rows: GenAIRows, *, is_complete: bool) -> Iterator[tuple[Any, ...]]:
        """The points of one file, without the model; lines that cannot be read are reported."""
        try:
            data = self._root.read(file, _LARGEST_METRIC)
        except (Unreadable, FileNotFoundError) as error:
            rows.add_problem(of, f"metric {key}", error)
            return
        # Half a number looks like a number, so the last line counts only if it is complete or nobody writes it.
        if is_complete and has_complete_last_line(data):
            data += b"\n"
        bad = 0
        for line in lines_of([data]):
            point = None if line is None else _point(key, line)
            if point is not None:
                yield point
            elif line is None or line.strip():
                bad += 1
        if bad:
            rows.add_problem(of, f"metric {key}", f"{bad} of its lines could not be read")

    def _outputs(self, run_id: str, path: str, rows: GenAIRows) -> Iterator[tuple[str, str, int | None]]:
        """(run id, model id, step) of the models that a run lists as outputs."""
        for name, folder in self._folders(f"outputs of run {run_id}", path, "outputs", rows):
            of = f"output {name} of run {run_id}"
            fields = Fields(self._meta(of, folder, rows), rows, of)
            yield run_id, fields.text("destination_id") or text(name) or "", fields.integer("step")

    # The registry

    def _add_versions(self, of: tuple[Collection[str], Collection[str]] | None, rows: GenAIRows) -> None:
        """Add the versions of registered models, and the aliases of those models.

        Args:
            of: only the versions of these models or these runs; None for all.
            rows: the rows are added to these.
        """
        for name, folder in self._folders("registered models", self._root.real, "models", rows):
            if _IS_PROMPT in self._values("", folder, "tags", GenAIRows(schema.MODEL_TABLES)):
                continue
            is_used = False
            versions = [
                (int(match[1]), path)
                for version, path in self._folders(f"registered model {name}", folder, "", rows)
                if (match := _VERSION.match(version))
            ]
            for number, path in sorted(versions):
                row = self._version(name, number, path, rows)
                if row is not None and (of is None or row[3] in of[0] or row[2] in of[1]):
                    is_used = True
                    rows.tables["versions"].append(row)
                    about = f"version {number} of {name}"
                    rows.add_values("version_tags", (text(name), number), self._values(about, path, "tags", rows))
            if is_used or of is None:
                self._add_aliases(name, folder, rows)

    def _version(self, name: str, number: int, folder: str, rows: GenAIRows) -> tuple[Any, ...] | None:
        """A row of schema.MODEL_VERSIONS; None if the version was deleted or cannot be read."""
        of = f"version {number} of {name}"
        meta = self._meta(of, folder, rows)
        if not meta or meta.get("current_stage") == _DELETED_STAGE:
            return None
        fields = Fields(meta, rows, of)
        source = fields.text("source")
        return (
            text(name),
            number,
            fields.text("run_id"),
            fields.text("model_id") or model_id_of(source),
            source,
            fields.text("current_stage"),
            fields.text("status"),
            fields.text("status_message"),
            fields.text("user_id"),
            fields.text("description"),
            fields.integer("creation_timestamp"),
            fields.integer("last_updated_timestamp"),
        )

    def _add_aliases(self, name: str, folder: str, rows: GenAIRows) -> None:
        """Add the aliases of a registered model."""
        of = f"registered model {name}"
        for alias, version in sorted(self._values(of, folder, "aliases", rows).items()):
            try:
                rows.tables["aliases"].append((text(name), alias, integer(version.strip())))
            except ValueError as error:
                rows.add_problem(of, f"alias {alias}", error)

    # Folders and files

    def _folders(self, of: str, path: str, part: str, rows: GenAIRows) -> Iterable[_Folder]:
        """(name, path) of the subfolders of a folder; a failure is reported."""
        try:
            return self._root.folders(os.path.join(path, part) if part else path).items()
        except Unreadable as error:
            rows.add_problem(of, "", error)
            return ()

    def _meta(self, of: str, folder: str, rows: GenAIRows) -> dict[str, Any]:
        """The meta.yaml of a folder; if it cannot be read, that is reported and the result is empty."""
        try:
            self._root.check(folder)
            return dict(read_meta(self._root, os.path.join(folder, "meta.yaml")))
        except Unreadable as error:
            rows.add_problem(of, "", f"meta.yaml: {error}")
            return {}

    def _files(self, of: str, folder: str, part: str, rows: GenAIRows) -> list[tuple[str, str]]:
        """(key, path) of the files of one subfolder, sorted by key; a failure is reported."""
        try:
            files = self._root.files(os.path.join(folder, part))
            return sorted((text(key) or "", file) for key, file in files)
        except Unreadable as error:
            rows.add_problem(of, part, error)
            return []

    def _values(self, of: str, folder: str, part: str, rows: GenAIRows) -> dict[str, str]:
        """{key: value} of params, tags or aliases, one file each; files that cannot be read are reported."""
        values = {}
        for key, file in self._files(of, folder, part, rows):
            try:
                values[key] = decoded(self._root.read(file))
            except FileNotFoundError:
                continue  # deleted since the folder was listed
            except Unreadable as error:
                rows.add_problem(of, f"{part} {key}", error)
        return values


def is_stray(folder: str) -> bool:
    """Whether a folder of a model holds only metrics: those that runs of another experiment logged for the model.

    MLflow writes them into the experiment of the run, and does not find them again.
    """
    return not os.path.lexists(os.path.join(folder, "meta.yaml")) and os.path.isdir(os.path.join(folder, "metrics"))


def _point(key: str, line: bytes) -> tuple[Any, ...] | None:
    """The point in a line `timestamp value step run_id [dataset digest]`; None for any other line."""
    point = parse_point(line)
    words = decoded(line.rstrip()).split(" ", 4)
    if point is None or len(words) < 4:
        return None
    step, timestamp, value = point
    dataset, _, digest = words[4].rpartition(" ") if len(words) == 5 else ("", "", "")
    if len(words) == 5 and not dataset:
        return None
    return words[3], key, value, step, timestamp, dataset or None, digest or None
