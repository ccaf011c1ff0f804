"""A notebook that is to be refreshed: what was generated, and how the user changed it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qualia_lab import __version__
from qualia_lab.errors import NotebookError, QualiaLabError
from qualia_lab.escaping import one_line
from qualia_lab.genai_tables import TraceQuery
from qualia_lab.masking.text import MASK
from qualia_lab.notebook.generated import Generated, cell_key, read_generated
from qualia_lab.notebook.merge import PARAMETERS
from qualia_lab.notebook.merge_parameters import changed_values
from qualia_lab.notebook.parameters import parameters_of, run_ids_of
from qualia_lab.notebook.read import parse_notebook
from qualia_lab.runs.study_settings import ARGUMENTS, study_settings
from qualia_lab.selection import Conditions
from qualia_lab.stores.uri import absolute_uri, with_credentials
from qualia_lab.study.settings import settings_from_data

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from qualia_lab.study.settings import StudySettings


@dataclass(frozen=True)
class OpenedNotebook:
    """A generated notebook as it is now.

    Attributes:
        path: its file.
        data: the content of the file.
        notebook: the notebook, of nbformat 4, with sources as text.
        generated: what was generated.
        parameters: the values in its parameters cells, by name.
        run_ids: the runs in them.
    """

    path: Path
    data: bytes
    notebook: dict[str, Any]
    generated: Generated
    parameters: Mapping[str, Any]
    run_ids: tuple[str, ...]

    @property
    def named_uri(self) -> str:
        """The tracking URI as it stands in the notebook.

        Raises:
            NotebookError: there is none.
        """
        uri = self.parameters.get("TRACKING_URI")
        if not isinstance(uri, str):
            raise NotebookError(
                f"{self.path} has no TRACKING_URI in a cell tagged parameters.", "Pass --tracking-uri URI."
            )
        return uri

    @property
    def tracking_uri(self) -> str:
        """The tracking URI with its credentials; a relative path is relative to the folder of the notebook."""
        return absolute_uri(with_credentials(self.named_uri).full, self.path.parent)

    @property
    def traces(self) -> TraceQuery | None:
        """The traces that the notebook reads; None for a notebook of runs.

        Raises:
            SelectionError: `TRACES` in the parameters cell is invalid.
        """
        traces = self.parameters.get("TRACES")
        return TraceQuery.of(traces) if isinstance(traces, dict) else None

    @property
    def template(self) -> str | None:
        """The template as it was given; None if none was, or if it is unknown."""
        given = self.generated.given
        if not given:  # made by the first version, which recorded only the name
            return self.generated.template or None
        template = given.get("template")
        return template if isinstance(template, str) else None

    def changed_parameters(self) -> dict[str, Any]:
        """Return the parameters that the user changed; none if it is unknown what was generated."""
        base = self.generated.base.get(PARAMETERS)
        return {} if base is None else changed_values(base, self.parameters)

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on another version that made the notebook, and on what is unknown."""
        version = self.generated.version
        if not self.generated.base:
            removed = "A tool removed the record of what was generated: cells that you edited stay"
            return (f"{removed}, and the template is observe unless --template names another.",)
        if version == __version__:
            return ()
        made = f"qualia-lab {one_line(version, 20)}" if version else "another version of qualia-lab"
        return (f"It was made by {made}: its generated cells become those of {__version__}.",)

    def conditions(self) -> tuple[Conditions, tuple[str, ...]]:
        """Return the conditions that select the runs, and notes on those that cannot be repeated.

        If the user changed `RUN_IDS`, these are the runs.

        Raises:
            NotebookError: `CHOSEN_BY` in the parameters cell is invalid.
        """
        picked = Conditions(run_ids=self.run_ids)
        chosen = self.parameters.get("CHOSEN_BY")
        if not isinstance(chosen, dict) or (self.run_ids and "RUN_IDS" in self.changed_parameters()):
            return picked, ()
        if MASK in json.dumps(chosen, ensure_ascii=False, default=str):
            return picked, ("The runs were chosen by a value that is masked here, so they stay the same.",)
        try:
            return Conditions.of(**chosen), ()
        except (TypeError, ValueError, QualiaLabError) as error:
            raise NotebookError(
                f"CHOSEN_BY in the parameters cell of {self.path} is invalid: {one_line(str(error), 200)}",
                "Correct it, or remove the line: then the runs in RUN_IDS stay.",
            ) from error

    def settings(self) -> StudySettings:
        """Return the settings that were given, and those that the user changed in the parameters cell.

        Raises:
            QualiaLabError: a direction is given without a metric.
        """
        settings = self.generated.given.get("settings")
        given = settings_from_data(settings if isinstance(settings, dict) else {})
        changed = {name.lower(): value for name, value in self.changed_parameters().items()}
        arguments = {name: changed[name] for name in ARGUMENTS if name in changed and name != "chosen_by"}
        if "greater_is_better" in arguments:
            arguments.setdefault("primary_metric", self.parameters.get("PRIMARY_METRIC"))
        return study_settings(arguments, given)


def open_notebook(path: Path) -> OpenedNotebook:
    """Read a generated notebook, as whatever tool saved it.

    Args:
        path: its file.

    Raises:
        NotebookError: there is no such file, it is not a notebook, nothing in it was generated by this package, or its
            parameters are invalid.
    """
    if not path.is_file():
        raise NotebookError(f"There is no notebook at {path}.", "Check the path.")
    data = path.read_bytes()
    notebook = parse_notebook(data, path)
    for cell in notebook["cells"]:
        if "id" not in cell and isinstance(cell["metadata"].get("id"), str):  # Colab moves it there
            cell["id"] = cell["metadata"]["id"]
    generated = read_generated(notebook)
    if not _is_ours(notebook):
        raise NotebookError(
            f"{path} was not made by qualia-lab, or a tool removed the metadata of its cells and of the notebook.",
            "Make a notebook with qualia new; qualia execute runs the cells of any notebook.",
        )
    parameters = parameters_of(notebook["cells"], path)
    return OpenedNotebook(
        path, data, notebook, generated or Generated(version=""), parameters, run_ids_of(path, parameters)
    )


def is_generated(path: Path) -> bool:
    """Whether a file is a notebook that was generated by this package."""
    try:
        notebook = parse_notebook(path.read_bytes(), path)
    except (OSError, QualiaLabError):
        return False
    return _is_ours(notebook)


def _is_ours(notebook: Mapping[str, Any]) -> bool:
    """Whether a notebook has our metadata, or one of its cells does."""
    return read_generated(notebook) is not None or any(map(cell_key, notebook["cells"]))
