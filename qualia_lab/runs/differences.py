"""What is not the same in all runs: code, data, tags, libraries, and what their artifacts say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.analysis.environments import environment, is_environment_file
from qualia_lab.analysis.origins import BOOKKEEPING, NOTE, origins
from qualia_lab.analysis.structured_text import that_differ
from qualia_lab.errors import QualiaLabError
from qualia_lab.runs.artifact_files import ArtifactFiles, list_all, read_start
from qualia_lab.runs.loaded import Said
from qualia_lab.stores.parallel import in_parallel

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from qualia_lab.charts.line_difference import LineDifference

_ENVIRONMENT_BYTES = 200_000
_COMPARED_BYTES = 1_000_000


class Differences(ArtifactFiles):
    """A row per run, a column per thing that differs."""

    def origins_that_differ(self) -> pd.DataFrame:
        """A row per run, a column per thing said of its code, environment or data that is not the same in all runs."""
        entries = origins(self.tables)
        return self._differing(entries, sorted(that_differ(entries)))

    def tags_that_differ(self) -> pd.DataFrame:
        """A row per run, a column per tag that people set and that is not the same in all runs."""
        import pandas as pd

        wide = self._wide(self.tables.tags)
        set_by_people = [key for key in wide.columns if not key.startswith(BOOKKEEPING) or key == NOTE]
        return pd.DataFrame(wide[[key for key in set_by_people if len(wide[key].unique()) > 1]].fillna(""))

    def environments_that_differ(self) -> pd.DataFrame | Said:
        """A row per run, a column for Python and each library whose version is not the same in all of them.

        They are read from every requirements.txt, conda.yaml, python_env.yaml and MLmodel among the run's artifacts
        and logged models. Runs that have none are left out; `attrs["runs without"]` counts them. "" is not installed.
        """
        entries = self._environments()
        if not entries:
            return Said("No run has logged a requirements.txt, conda.yaml, python_env.yaml or MLmodel that says more.")
        frame = self._differing(entries, sorted(that_differ(entries), key=_python_first))
        frame.attrs["runs without"] = len(self) - len(entries)
        return frame

    def artifact_difference(self, path: str, run_a: str, run_b: str) -> LineDifference | Said:
        """One text or JSON artifact of two runs line by line: what the second has not, and what it has instead.

        path: below the runs' artifact roots.  run_a, run_b: by id or name. JSON is written out with sorted keys first.
        Raises UnknownRun.
        """
        from qualia_lab.charts.line_difference import line_difference

        ids = self._run_id(run_a), self._run_id(run_b)
        texts = []
        for run_id in ids:
            uri = self._one(run_id).runs.column("artifact_uri")[0].as_py() or ""
            try:
                data = self._store.artifact_place(run_id, uri).read_bytes(path, _COMPARED_BYTES)
            except QualiaLabError as error:
                return Said(str(error))
            texts.append(data)
        return line_difference(path, (self._labels[ids[0]], texts[0]), (self._labels[ids[1]], texts[1]))

    def _differing(self, entries: Mapping[str, Mapping[str, str]], names: list[str]) -> pd.DataFrame:
        """A row per run, a column per name; where nothing differs, what is the same in all runs."""
        import pandas as pd

        if not names:
            first = next(iter(entries.values()))
            return pd.DataFrame({"the same in all runs": list(first.values())}, list(first))
        rows = [{name: entry.get(name, "") for name in names} for entry in entries.values()]
        return pd.DataFrame(rows, index=pd.Index([self._labels[run_id] for run_id in entries]))

    def _environments(self) -> dict[str, dict[str, str]]:
        """Run id → library → version, of the runs that say it."""
        texts: dict[str, dict[str, str]] = {run_id: {} for run_id in self._places}
        listed = [(run_id, self._places[run_id], list(files)) for run_id, files in self._files.items()]
        listed += [(run_id, place, [file.path for file in list_all(place)]) for run_id, place in self._model_places]
        wanted = [
            (run_id, place, path) for run_id, place, paths in listed for path in filter(is_environment_file, paths)
        ]
        starts = in_parallel(lambda file: read_start(file[1], file[2], _ENVIRONMENT_BYTES), wanted)
        for (run_id, place, path), start in zip(wanted, starts, strict=True):
            if isinstance(start, bytes):
                texts[run_id][f"{place.recorded_uri}/{path}"] = start.decode("utf-8", "replace")
        stated = {run_id: environment(found) for run_id, found in texts.items()}
        return {run_id: said for run_id, said in stated.items() if said}


def _python_first(name: str) -> tuple[bool, str]:
    return name != "Python", name
