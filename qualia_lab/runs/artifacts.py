"""`runs.artifacts`: list, compare and show the files that the runs logged."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from qualia_lab.analysis.artifact_tables import compare_structures, compare_tables
from qualia_lab.analysis.logged_tables import is_logged_table
from qualia_lab.artifacts import HEAD_BYTES, decoded_text, preview_kind
from qualia_lab.counts import counted
from qualia_lab.errors import QualiaLabError
from qualia_lab.escaping import one_line
from qualia_lab.runs.artifact_files import READ_BYTES
from qualia_lab.runs.message import Message
from qualia_lab.runs.namespace import Namespace
from qualia_lab.runs.pictures import MOST_RUNS, gallery
from qualia_lab.study.known_keys import unknown_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from qualia_lab.charts.gallery import Gallery
    from qualia_lab.charts.line_difference import LineDifference

_FILES_READ = 1_500
_PATHS_LISTED = 100
_PATHS_COMPARED = 4
_NONE_SHARED = "No two runs have an artifact at the same path."


class Artifacts(Namespace):
    """List, compare and show the artifacts of the runs. At most 200 runs are compared."""

    name = "artifacts"

    def list(self, run: str) -> pd.DataFrame:
        """The files of one run, with path and size.

        Args:
            run: the id or name of a run.

        Returns:
            A row per file: `path` below the run's artifact root, and `size` in bytes. `attrs["notes"]` has notes on how
            complete the list is.

        Raises:
            UnknownRun: the run is not loaded, or several runs have that name.

        Example:
            >>> runs.artifacts.list("gbm-03-seed2")
        """
        import pandas as pd

        _, files, notes = self._loaded.files.of_run(self._loaded.run_id(run))
        frame = pd.DataFrame([(file.path, file.size) for file in files], columns=["path", "size"]).convert_dtypes()
        frame.attrs["notes"] = notes
        return frame

    def that_differ(self) -> pd.DataFrame | Message:
        """A row per path that at least two runs have and whose files are not the same in all of them.

        Returns:
            The index is the path. `runs`: how many runs have it. `versions`: the number of distinct contents, by the
            first megabyte of each file; empty once 1,500 files have been read. `kind`: the kind of the file. `smallest`
            and `largest`: sizes in bytes. At most 100 paths are shown.

        Example:
            >>> runs.artifacts.that_differ()
        """
        import pandas as pd

        files = self._loaded.files
        rows, left = [], _FILES_READ
        paths = {path: run_ids for path, run_ids in files.paths(lambda _: True).items() if len(run_ids) > 1}
        for path, run_ids in paths.items():
            sizes = [size for run_id in run_ids if (size := files.listed[run_id][path].size) is not None]
            row: dict[str, object] = {"path": path, "runs": len(run_ids), "versions": None, "kind": ""}
            if len(run_ids) <= left:
                left -= len(run_ids)
                facts = self._loaded.files.facts(path)
                row |= {"versions": len(facts.digests), "kind": facts.kind}
            row |= {"smallest": min(sizes, default=None), "largest": max(sizes, default=None)}
            if row["versions"] != 1 or len(set(sizes)) > 1:
                rows.append(row)
        if not rows:
            return Message(
                f"None of the {len(paths):,} artifacts that two runs have differ." if paths else _NONE_SHARED
            )
        frame = pd.DataFrame(rows[:_PATHS_LISTED]).set_index("path").convert_dtypes()
        frame.index.name = f"showing {_PATHS_LISTED} of {len(rows):,}" if len(rows) > _PATHS_LISTED else None
        return frame

    def comparable(self, limit: int = _PATHS_COMPARED) -> Sequence[str]:
        """Paths of JSON, YAML and table files that at least two runs have and in which `compare` finds differences.

        Args:
            limit: the most paths.
        """
        endings = (".json", ".yaml", ".yml", ".csv", ".tsv")
        paths = self._loaded.files.paths(lambda path: path.lower().endswith(endings) and not _is_about_a_model(path))
        comparable_paths: list[str] = []
        for path, run_ids in [*paths.items()][: 5 * limit]:
            if len(comparable_paths) < limit and len(run_ids) > 1:
                facts = self._loaded.files.facts(path)
                comparable_paths += [path] if len(facts.digests) + len(facts.unread) > 1 else []
        return comparable_paths

    def compare(self, path: str, *, limit: int = 30) -> pd.DataFrame | Message:
        """Compare one artifact across all runs that have it: a row per difference, a column per run.

        JSON, YAML and MLmodel files have a row per differing value, such as `train.lr` or `layers[2].size`. Tables,
        including those of `mlflow.log_table`, have a row per differing cell. For text and all other files the table
        says which runs have the same content.

        Args:
            path: a path below the runs' artifact roots.
            limit: the most columns; the first runs are shown.

        Returns:
            The name of the columns, which is above the table, has the path and says how much is not shown.

        Raises:
            UnknownKey: no run has an artifact at that path.

        Example:
            >>> runs.artifacts.compare("config.yaml")
        """
        import pandas as pd

        paths = self._loaded.files.paths(lambda _: True)
        if path not in paths:
            raise unknown_key(path, [*paths], "artifact")
        starts = self._loaded.files.starts_of(path)
        read = {run_id: start for run_id, start in starts.items() if isinstance(start, bytes)}
        if not read:
            return Message(str(starts[paths[path][0]]))
        kind = preview_kind(path, next(iter(read.values()))[:HEAD_BYTES])
        if kind not in ("json", "yaml", "model", "table"):
            return self._versions(read)
        texts = {run_id: (decoded_text(start) or ("",))[0] for run_id, start in read.items()}
        if kind == "json" and all(map(is_logged_table, texts.values())):
            kind = "table"
        rules = self._loaded.mask_rules
        table = compare_tables(texts, rules) if kind == "table" else compare_structures(texts, kind)
        if not table.rows:
            return Message(f"{one_line(path, 100)} of {counted(len(texts), 'run')}: {table.note}.")
        columns = {
            self._loaded.labels[run_id]: [None if value == "" else value for value in values]
            for run_id, values in [*table.cells.items()][:limit]
        }
        frame = pd.DataFrame(columns, index=pd.Index(table.rows))
        notes = [table.note] if table.note else []
        notes += [f"showing {limit} of {counted(len(table.cells), 'run')}"] if len(table.cells) > limit else []
        frame.columns.name = one_line(f"{path} ({'; '.join(notes)})" if notes else path, 200)
        return frame

    def difference(self, path: str, run_a: str, run_b: str) -> LineDifference | Message:
        """A line-by-line diff of one text or JSON artifact between two runs. JSON is formatted with sorted keys first.

        Args:
            path: a path below the runs' artifact roots.
            run_a: the id or name of the first run.
            run_b: the id or name of the second run.

        Returns:
            The diff, which displays as HTML in a notebook and as text elsewhere.

        Raises:
            UnknownRun: one of the runs is not loaded, or several runs have that name.

        Example:
            >>> runs.artifacts.difference("config.yaml", "gbm-03-seed2", "gbm-07-seed0")
        """
        from qualia_lab.charts.line_difference import line_difference

        ids = self._loaded.run_id(run_a), self._loaded.run_id(run_b)
        texts = []
        for run_id in ids:
            try:
                texts.append(self._loaded.files.place(run_id).read_bytes(path, READ_BYTES))
            except QualiaLabError as error:
                return Message(str(error))
        labels = self._loaded.labels
        return line_difference(path, (labels[ids[0]], texts[0]), (labels[ids[1]], texts[1]))

    def images(self, picture: str | None = None, *, limit: int = MOST_RUNS) -> Gallery | Message:
        """The same image of several runs side by side; an image logged at several steps is shown over its steps.

        Images whose paths differ only in their last number, such as `samples/epoch_01.png`, are shown in that order.

        Args:
            picture: the path of an artifact, the key used with MLflow's `log_image`, or a path with `*` for the last
                number (`samples/epoch_*.png`); None for up to four of the images that most runs have.
            limit: the most runs; the best by the objective are shown, or the first ones if there is none.

        Raises:
            UnknownKey: no run has the image.

        Example:
            >>> runs.artifacts.images("confusion_matrix.png")
        """
        return gallery(self._loaded, picture, limit)

    def _versions(self, starts: Mapping[str, bytes]) -> pd.DataFrame:
        """A row per run: bytes that were read, lines, and the first run with the same content."""
        import pandas as pd

        labels = self._loaded.labels
        first: dict[bytes, str] = {}
        rows = []
        for run_id, start in starts.items():
            digest = hashlib.sha256(start).digest()
            same = labels[first[digest]] if digest in first else ""
            first.setdefault(digest, run_id)
            rows.append({"lines": start.count(b"\n"), "bytes": len(start), "the same as": same})
        return pd.DataFrame(rows, index=pd.Index([labels[run_id] for run_id in starts]))


def _is_about_a_model(path: str) -> bool:
    """Whether MLflow wrote the file with a model: libraries have their own table, and input examples are data."""
    name = path.rpartition("/")[2]
    return name in ("conda.yaml", "python_env.yaml", "input_example.json", "serving_input_example.json", "MLmodel")
