"""`[tool.qualia]` in the pyproject.toml of this folder: what a project has settled for all its notebooks."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qualia_lab.errors import SettingsError
from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE = "pyproject.toml"
_KEYS = ("templates", "metric", "seeds", "baseline", "findings")


@dataclass(frozen=True)
class Settings:
    """What the table says; what it leaves out is None or empty.

    templates: paths by name.  metric: `NAME`, `NAME:max` or `NAME:min`.  seeds: params that only repeat a
    configuration.  baseline: the id of a run, or params with their values as texts.  findings: thresholds of rules by
    their names, checked where the rules are known.
    """

    templates: Mapping[str, Path] = field(default_factory=dict)
    metric: str | None = None
    seeds: tuple[str, ...] | None = None
    baseline: str | Mapping[str, str] | None = None
    findings: Mapping[str, Any] = field(default_factory=dict)


def read_settings(folder: Path | None = None) -> Settings:
    """The settings of a folder, by default of this one; without a pyproject.toml there are none.

    Raises SettingsError, naming the key, when the file is no TOML or the table says what cannot be.
    """
    path = (folder or Path()) / FILE
    try:
        project = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError):
        return Settings()
    except ValueError as error:  # also what is not UTF-8
        raise SettingsError(f"{path} cannot be read: {one_line(str(error), 200)}.", "Correct it.") from error
    tool = project.get("tool", {})
    table = tool.get("qualia", {}) if isinstance(tool, dict) else {}
    if not isinstance(table, dict):
        raise SettingsError(f"In {path}, tool.qualia is no table.", "Write [tool.qualia] on a line of its own.")
    for key in table:
        if key not in _KEYS:
            near = get_close_matches(key, _KEYS, n=1)
            raise SettingsError(
                f"In {path}, [tool.qualia] has no key {one_line(key, 60)}.",
                f"Did you mean {near[0]}?" if near else f"There are: {', '.join(_KEYS)}.",
            )
    return Settings(
        templates={name: Path(text) for name, text in _texts(path, table, "templates").items()},
        metric=_metric(path, table.get("metric")),
        seeds=_seeds(path, table.get("seeds")),
        baseline=_baseline(path, table),
        findings=_table(path, table, "findings"),
    )


def _metric(path: Path, value: Any) -> str | None:
    if value is None or (isinstance(value, str) and value.strip()):
        return value
    raise SettingsError(f"In {path}, [tool.qualia] metric is no text.", 'Write metric = "val_auc:max".')


def _seeds(path: Path, value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return tuple(value)
    raise SettingsError(f"In {path}, [tool.qualia] seeds is no list of texts.", 'Write seeds = ["seed"].')


def _baseline(path: Path, table: dict[str, Any]) -> str | dict[str, str] | None:
    value = table.get("baseline")
    return value if value is None or isinstance(value, str) else _texts(path, table, "baseline")


def _table(path: Path, table: dict[str, Any], key: str) -> dict[str, Any]:
    values = table.get(key, {})
    if not isinstance(values, dict):
        raise SettingsError(f"In {path}, [tool.qualia] {key} is no table.", f"Write [tool.qualia.{key}].")
    return values


def _texts(path: Path, table: dict[str, Any], key: str) -> dict[str, str]:
    """A table of texts; numbers and booleans become the text that MLflow logs for them."""
    values = table.get(key, {})
    if not isinstance(values, dict):
        raise SettingsError(
            f"In {path}, [tool.qualia] {key} is of the wrong kind.", f'Write {key} = {{ name = "text" }}.'
        )
    for name, value in values.items():
        if not isinstance(value, str | int | float):
            raise SettingsError(
                f"In {path}, [tool.qualia] {key}.{one_line(name, 60)} is neither text nor a number.",
                f'Write {key} = {{ name = "text" }}.',
            )
    return {name: str(value) for name, value in values.items()}
