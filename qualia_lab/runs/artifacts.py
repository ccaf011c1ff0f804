"""`runs.artifacts`: the files of the runs, listed, compared and shown."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.artifact_tables import compare_structures, compare_tables
from qualia_lab.analysis.logged_tables import is_logged_table
from qualia_lab.artifacts import HEAD_BYTES, decoded_text, preview_kind
from qualia_lab.counts import counted
from qualia_lab.errors import QualiaLabError
from qualia_lab.escaping import one_line
from qualia_lab.runs.namespace import Namespace
from qualia_lab.runs.pictures import MOST_RUNS, gallery
from qualia_lab.runs.said import Said
from qualia_lab.study.known_keys import unknown_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from qualia_lab.charts.gallery import Gallery
    from qualia_lab.charts.line_difference import LineDifference

_READ_BYTES = 1_000_000
_FILES_READ = 1_500
_PATHS_LISTED = 100
_PATHS_COMPARED = 4
_NONE_SHARED = "No two runs have an artifact of the same path."


@dataclass(frozen=True)
class _Facts:
    """Of one path in some runs, by the first megabyte of each file.

    digests: of the different contents.  unread: the different reasons why a file cannot be read.  kind: what it is.
    """

    digests: frozenset[bytes]
    unread: frozenset[str]
    kind: str


class Artifacts(Namespace):
    """Files of one run, and of all runs beside each other."""

    name = "artifacts"

    def list(self, run: str) -> pd.DataFrame:
        """The files of one run, by its id or name: path and size in bytes. Raises UnknownRun."""
        import pandas as pd

        _, files, notes = self._loaded.files.of_run(self._loaded.run_id(run))
        frame = pd.DataFrame([(file.path, file.size) for file in files], columns=["path", "size"]).convert_dtypes()
        frame.attrs["notes"] = notes
        return frame

    def that_differ(self) -> pd.DataFrame | Said:
        """A row per path that two runs have and that is not the same in all: runs, versions, kind, sizes in bytes.

        `versions` counts different contents, by the first megabyte of each; empty where too many would be read.
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
                facts = self._facts(path, run_ids)
                row |= {"versions": len(facts.digests), "kind": facts.kind}
            row |= {"smallest": min(sizes, default=None), "largest": max(sizes, default=None)}
            if row["versions"] != 1 or len(set(sizes)) > 1:
                rows.append(row)
        if not rows:
            return Said(f"None of the {len(paths):,} artifacts that two runs have differs." if paths else _NONE_SHARED)
        frame = pd.DataFrame(rows[:_PATHS_LISTED]).set_index("path").convert_dtypes()
        frame.index.name = f"showing {_PATHS_LISTED} of {len(rows):,}" if len(rows) > _PATHS_LISTED else None
        return frame

    def comparable(self, limit: int = _PATHS_COMPARED) -> Sequence[str]:
        """Paths of JSON, YAML and tables that two runs have and `compare` finds something in."""
        endings = (".json", ".yaml", ".yml", ".csv", ".tsv")
        paths = self._loaded.files.paths(lambda path: path.lower().endswith(endings) and not _is_about_a_model(path))
        found: list[str] = []
        for path, run_ids in [*paths.items()][: 5 * limit]:
            if len(found) < limit and len(run_ids) > 1:
                facts = self._facts(path, run_ids)
                found += [path] if len(facts.digests) + len(facts.unread) > 1 else []
        return found

    def compare(self, path: str, *, limit: int = 30) -> pd.DataFrame | Said:
        """One artifact of every run that has it: a row for what is not the same in all, a column per run.

        JSON, YAML and MLmodel: a row per place, `train.lr` or `layers[2].size`. Tables, those of `mlflow.log_table`
        among them: a row per cell. Text and everything else: which runs have the same one. The table's corner says how
        much is not shown.
        limit: of more runs the first ones are shown. Raises UnknownKey for a path that no run has.
        """
        import pandas as pd

        paths = self._loaded.files.paths(lambda _: True)
        if path not in paths:
            raise unknown_key(path, [*paths], "artifact")
        starts = self._read(path, paths[path])
        read = {run_id: start for run_id, start in starts.items() if isinstance(start, bytes)}
        if not read:
            return Said(str(starts[paths[path][0]]))
        kind = preview_kind(path, next(iter(read.values()))[:HEAD_BYTES])
        if kind not in ("json", "yaml", "model", "table"):
            return self._versions(read)
        texts = {run_id: (decoded_text(start) or ("",))[0] for run_id, start in read.items()}
        if kind == "json" and all(map(is_logged_table, texts.values())):
            kind = "table"
        table = compare_tables(texts) if kind == "table" else compare_structures(texts, kind)
        if not table.rows:
            return Said(f"{one_line(path, 100)} of {counted(len(texts), 'run')}: {table.note}.")
        columns = {self._loaded.labels[run_id]: [*values] for run_id, values in [*table.cells.items()][:limit]}
        frame = pd.DataFrame(columns, index=pd.Index(table.rows))
        said = [table.note] if table.note else []
        said += [f"showing {limit} of {counted(len(table.cells), 'run')}"] if len(table.cells) > limit else []
        frame.columns.name = one_line(f"{path} ({'; '.join(said)})" if said else path, 200)
        return frame

    def difference(self, path: str, run_a: str, run_b: str) -> LineDifference | Said:
        """One text or JSON artifact of two runs line by line: what the second has not, and what it has instead.

        path: below the runs' artifact roots.  run_a, run_b: by id or name. JSON is written out with sorted keys first.
        Raises UnknownRun.
        """
        from qualia_lab.charts.line_difference import line_difference

        ids = self._loaded.run_id(run_a), self._loaded.run_id(run_b)
        texts = []
        for run_id in ids:
            try:
                texts.append(self._loaded.files.place(run_id).read_bytes(path, _READ_BYTES))
            except QualiaLabError as error:
                return Said(str(error))
        labels = self._loaded.labels
        return line_difference(path, (labels[ids[0]], texts[0]), (labels[ids[1]], texts[1]))

    def images(self, picture: str | None = None, *, limit: int = MOST_RUNS) -> Gallery | Said:
        """The same picture of the runs side by side; one logged step by step, over its steps.

        picture: the path of an artifact, or the key of MLflow's `log_image`; by default up to four of those that most
        runs have.  limit: of more runs the best of the objective are shown, or the first ones without it.
        Raises UnknownKey for a picture that no run has.
        """
        return gallery(self._loaded, picture, limit)

    def _versions(self, starts: Mapping[str, bytes]) -> pd.DataFrame:
        """A row per run: the size of what was read, its lines where it is text, and who has the same."""
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

    def _facts(self, path: str, run_ids: Sequence[str]) -> _Facts:
        """What is asked of a path more than once; its files are read the first time."""
        return self._loaded.once(("artifact", path), lambda: _facts_of(path, self._read(path, run_ids)))

    def _read(self, path: str, run_ids: Sequence[str]) -> dict[str, bytes | str]:
        starts = self._loaded.files.starts([(run_id, path) for run_id in run_ids], _READ_BYTES)
        return dict(zip(run_ids, starts, strict=True))


def _facts_of(path: str, starts: Mapping[str, bytes | str]) -> _Facts:
    """The facts of a path from the start of each run's file, or why it cannot be read."""
    read = [start for start in starts.values() if isinstance(start, bytes)]
    return _Facts(
        frozenset(hashlib.sha256(start).digest() for start in read),
        frozenset(start for start in starts.values() if isinstance(start, str)),
        preview_kind(path, read[0][:HEAD_BYTES]) if read else "not readable",
    )


def _is_about_a_model(path: str) -> bool:
    """Whether MLflow wrote it beside a model: libraries have a table of their own, and examples are data."""
    name = path.rpartition("/")[2]
    return name in ("conda.yaml", "python_env.yaml", "input_example.json", "serving_input_example.json", "MLmodel")
