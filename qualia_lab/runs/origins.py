"""`runs.origins`: code, data, tags and library versions that differ between runs, and the provenance of all runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qualia_lab.analysis.origins import BOOKKEEPING, NOTE, origins
from qualia_lab.analysis.structured_text import differing_names
from qualia_lab.runs.environments import environments_of
from qualia_lab.runs.frames import wide
from qualia_lab.runs.message import Message
from qualia_lab.runs.namespace import Namespace
from qualia_lab.runs.provenance import provenance_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd


class Origins(Namespace):
    """Where runs come from: their code, data, tags and environment."""

    name = "origins"

    def that_differ(self) -> pd.DataFrame | Message:
        """A row per run, a column per fact about its code, environment or data that differs between runs.

        If nothing differs, the table lists what is the same in all runs.
        """
        entries = origins(self._loaded.tables)
        if not any(entries.values()):
            return Message("No run recorded which code or data it used.")
        return self._differing(entries, sorted(differing_names(entries)))

    def tags_that_differ(self) -> pd.DataFrame:
        """A row per run, a column per tag set by users that differs between runs."""
        import pandas as pd

        tags = wide(self._loaded, self._loaded.tables.tags)
        set_by_people = [key for key in tags.columns if not key.startswith(BOOKKEEPING) or key == NOTE]
        return pd.DataFrame(tags[[key for key in set_by_people if len(tags[key].unique()) > 1]].fillna(""))

    def environments_that_differ(self) -> pd.DataFrame | Message:
        """A row per run, a column for Python and for each library whose version differs between runs.

        Versions are read from all requirements.txt, conda.yaml, python_env.yaml and MLmodel files among the artifacts
        and logged models of a run.

        Returns:
            Versions as text; "" if the library is not listed. Runs without such files have no row; `attrs["runs
            without"]` counts them.
        """
        entries = environments_of(self._loaded.files)
        if not entries:
            return Message(
                "No run has logged a requirements.txt, conda.yaml, python_env.yaml or MLmodel that lists versions."
            )
        frame = self._differing(entries, sorted(differing_names(entries), key=_python_first))
        frame.attrs["runs without"] = len(self._loaded) - len(entries)
        return frame

    def provenance(self, chosen_by: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """A row per fact: store, experiments, selection, times, versions, code and data.

        Args:
            chosen_by: the conditions that selected the runs: `CHOSEN_BY` in a notebook.

        Returns:
            The index is the kind of fact; `value` is text; `runs` counts the runs for which it holds, and is empty for
            facts about the whole. Versions are those of the current kernel.
        """
        return provenance_table(self._loaded, chosen_by or {})

    def _differing(self, entries: Mapping[str, Mapping[str, str]], names: list[str]) -> pd.DataFrame:
        """A row per run, a column per name; if nothing differs, what is the same in all runs."""
        import pandas as pd

        if not names:
            first: Mapping[str, str] = next(iter(entries.values()), {})
            return pd.DataFrame({"the same in all runs": list(first.values())}, list(first))
        rows = [{name: entry.get(name, "") for name in names} for entry in entries.values()]
        return pd.DataFrame(rows, index=pd.Index([self._loaded.labels[run_id] for run_id in entries]))


def _python_first(name: str) -> tuple[bool, str]:
    return name != "Python", name
