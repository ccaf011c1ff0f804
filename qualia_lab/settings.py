"""`[tool.qualia]` in the pyproject.toml of this folder: what a project has settled for all its notebooks."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from qualia_lab.errors import SelectionError, SettingsError
from qualia_lab.escaping import one_line
from qualia_lab.masking.keys import DEFAULT_RULES, MaskRules
from qualia_lab.selection import cut_metric
from qualia_lab.study.settings import Better, MetricRole, StudySettings

if TYPE_CHECKING:
    from collections.abc import Sequence

FILE = "pyproject.toml"
_TABLES = ("templates", "metrics", "findings")
_LISTS = ("seeds", "factors", "labels", "statuses")
_SAFETY = ("mask", "never_mask", "kernel_environment")
_KEYS = ("metric", *_LISTS, *_SAFETY, "baseline", "pool", "smallest_difference", *_TABLES)
_EXAMPLES = {
    "statuses": '["FINISHED"]',
    "mask": '["license_no"]',
    "never_mask": '["token"]',
    "kernel_environment": '["DATA_FOLDER"]',
}
_METRIC = 'Write val_auc = "higher" or val_auc = { better = "lower", role = "cost" }.'


@dataclass(frozen=True)
class Settings:
    """What the table says; what it leaves out is empty.

    templates: paths by name.  masking: names of params and tags that are masked besides those that look like secrets,
    and names that never are.  kernel_environment: variables that an executing kernel gets too, names or globs.
    study: how runs are to be looked at; thresholds of findings are checked where the rules are known.
    """

    templates: Mapping[str, Path] = field(default_factory=dict)
    study: StudySettings = field(default_factory=StudySettings)
    masking: MaskRules = DEFAULT_RULES
    kernel_environment: tuple[str, ...] = ()


def said_settings(
    *,
    metric: str | None = None,
    seeds: Sequence[str] | None = None,
    factors: Sequence[str] = (),
    labels: Sequence[str] = (),
    baseline: str | Sequence[str] | Mapping[str, str] | None = None,
    pool: bool = False,
    smallest_difference: float | None = None,
    findings: Mapping[str, Any] | None = None,
) -> StudySettings:
    """What flags or arguments say of how runs are to be looked at; the words mean what StudySettings says of them.

    Args:
        metric: `METRIC`, `METRIC:max` or `METRIC:min`.
        seeds: params that only repeat a configuration; None: to be inferred.
        factors: params and tags that set configurations apart, whatever they look like.
        labels: params and tags that are only names.
        baseline: a run by its id or name, or its params: `{"lr": "0.1"}`, also as texts `lr=0.1`.
        pool: experiments are one task.
        smallest_difference: of the primary metric, the smallest one that matters.
        findings: thresholds of rules.

    Raises:
        SelectionError: for a baseline that is neither one run nor params with values.
    """
    key, better = (None, None) if metric is None else cut_metric(metric)
    return StudySettings(
        metric=key,
        better={key: better} if key is not None and better is not None else {},
        seeds=None if seeds is None else tuple(seeds),
        factors=tuple(factors),
        labels=tuple(labels),
        baseline=_said_baseline(baseline),
        pool=pool,
        smallest_difference=smallest_difference,
        findings=findings or {},
    )


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
        study=_study(path, table),
        masking=MaskRules(*(_list(path, table, name) or () for name in ("mask", "never_mask"))),
        kernel_environment=_list(path, table, "kernel_environment") or (),
    )


def settings_around(folder: Path | None = None) -> Settings:
    """The settings of the nearest folder, this one or one above it, whose pyproject.toml has a table [tool.qualia].

    A notebook runs in a folder of its own below the project. Raises SettingsError.
    """
    start = (folder or Path()).absolute()
    for place in (start, *start.parents):
        found = read_settings(place)
        if found != Settings():
            return found
    return Settings()


def _study(path: Path, table: dict[str, Any]) -> StudySettings:
    """What the table says of how runs are to be looked at."""
    metrics = {key: _of_metric(path, key, value) for key, value in _table(path, table, "metrics").items()}
    key, better = cut_metric(_metric(path, table.get("metric")) or "")
    seeds, factors, labels, statuses = (_list(path, table, name) for name in _LISTS)
    said = {key: one["better"] for key, one in metrics.items() if "better" in one}
    return StudySettings(
        metric=key or None,
        better=said | ({key: better} if better is not None else {}),
        metric_roles={key: one["role"] for key, one in metrics.items() if "role" in one},
        seeds=seeds,
        factors=factors or (),
        labels=labels or (),
        baseline=_baseline(path, table),
        statuses=None if statuses is None else tuple(status.upper() for status in statuses),
        pool=_pool(path, table.get("pool", False)),
        smallest_difference=_smallest_difference(path, table.get("smallest_difference")),
        findings=_table(path, table, "findings"),
    )


def _of_metric(path: Path, key: str, value: Any) -> dict[str, Any]:
    """What [tool.qualia.metrics] says of one metric: which way is better, what it is, or both."""
    said = {"better": value} if isinstance(value, str) else value
    where = f"In {path}, [tool.qualia.metrics] {one_line(key, 60)}"
    if not isinstance(said, dict) or not said or not said.keys() <= {"better", "role"}:
        raise SettingsError(f"{where} says neither which way is better nor what it is.", _METRIC)
    for name, known in (("better", get_args(Better)), ("role", get_args(MetricRole))):
        if name in said and said[name] not in known:
            raise SettingsError(f"{where} has a {name} that is none of {', '.join(known)}.", _METRIC)
    return said


def _metric(path: Path, value: Any) -> str | None:
    if value is None or (isinstance(value, str) and value.strip()):
        return value
    raise SettingsError(f"In {path}, [tool.qualia] metric is no text.", 'Write metric = "val_auc:max".')


def _list(path: Path, table: dict[str, Any], key: str) -> tuple[str, ...] | None:
    value = table.get(key)
    if value is None:
        return None
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return tuple(value)
    example = _EXAMPLES.get(key) or f'["{key[:-1]}"]'
    raise SettingsError(f"In {path}, [tool.qualia] {key} is no list of texts.", f"Write {key} = {example}.")


def _pool(path: Path, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise SettingsError(f"In {path}, [tool.qualia] pool is neither true nor false.", "Write pool = true.")


def _smallest_difference(path: Path, value: Any) -> float | None:
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool) and value > 0):
        return value
    raise SettingsError(
        f"In {path}, [tool.qualia] smallest_difference is no number above 0.", "Write smallest_difference = 0.01."
    )


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


def _said_baseline(asked: str | Sequence[str] | Mapping[str, str] | None) -> str | Mapping[str, str] | None:
    """A run as its id or name, params as a dict; a text with `=` names a param."""
    if not asked:
        return None
    if isinstance(asked, Mapping):
        return asked
    texts = [asked] if isinstance(asked, str) else list(asked)
    if len(texts) == 1 and "=" not in texts[0]:
        return texts[0]
    for text in texts:
        if "=" not in text:
            raise SelectionError(
                f"The baseline {one_line(text, 100)} is no param=value.",
                "Name one run, or only params, each with its value.",
            )
    return {key.strip(): value.strip() for key, _, value in (text.partition("=") for text in texts)}
