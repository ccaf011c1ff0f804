"""`runs.origins`: code, data, tags and libraries that are not the same in all runs, and where all of it is from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qualia_lab.analysis.origins import BOOKKEEPING, NOTE, origins
from qualia_lab.analysis.structured_text import differing_names
from qualia_lab.runs.environments import environments_of
from qualia_lab.runs.frames import wide
from qualia_lab.runs.namespace import Namespace
from qualia_lab.runs.provenance import provenance_table
from qualia_lab.runs.said import Said

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd


class Origins(Namespace):
    """A row per run, a column per thing that differs."""

    name = "origins"

    def that_differ(self) -> pd.DataFrame | Said:
        """A row per run, a column per thing said of its code, environment or data that is not the same in all runs."""
        entries = origins(self._loaded.tables)
        if not any(entries.values()):
            return Said("No run says which code or data it was made with.")
        return self._differing(entries, sorted(differing_names(entries)))

    def tags_that_differ(self) -> pd.DataFrame:
        """A row per run, a column per tag that people set and that is not the same in all runs."""
        import pandas as pd

        found = wide(self._loaded, self._loaded.tables.tags)
        set_by_people = [key for key in found.columns if not key.startswith(BOOKKEEPING) or key == NOTE]
        return pd.DataFrame(found[[key for key in set_by_people if len(found[key].unique()) > 1]].fillna(""))

    def environments_that_differ(self) -> pd.DataFrame | Said:
        """A row per run, a column for Python and each library whose version is not the same in all of them.

        They are read from every requirements.txt, conda.yaml, python_env.yaml and MLmodel among the run's artifacts
        and logged models. Runs that have none are left out; `attrs["runs without"]` counts them. "" is not installed.
        """
        entries = environments_of(self._loaded.files)
        if not entries:
            return Said("No run has logged a requirements.txt, conda.yaml, python_env.yaml or MLmodel that says more.")
        frame = self._differing(entries, sorted(differing_names(entries), key=_python_first))
        frame.attrs["runs without"] = len(self._loaded) - len(entries)
        return frame

    def provenance(self, chosen_by: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """A row per fact: store, experiments, how the runs were chosen, when, with which versions, code and data.

        chosen_by: what the configuration says, `CHOSEN_BY`. `runs` counts the runs of which a fact is true, empty
        where it is one of the whole. Versions are those of the kernel in which this is called.
        """
        return provenance_table(self._loaded, chosen_by or {})

    def _differing(self, entries: Mapping[str, Mapping[str, str]], names: list[str]) -> pd.DataFrame:
        """A row per run, a column per name; where nothing differs, what is the same in all runs."""
        import pandas as pd

        if not names:
            first: Mapping[str, str] = next(iter(entries.values()), {})
            return pd.DataFrame({"the same in all runs": list(first.values())}, list(first))
        rows = [{name: entry.get(name, "") for name in names} for entry in entries.values()]
        return pd.DataFrame(rows, index=pd.Index([self._loaded.labels[run_id] for run_id in entries]))


def _python_first(name: str) -> tuple[bool, str]:
    return name != "Python", name
