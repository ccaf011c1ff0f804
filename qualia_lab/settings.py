"""Project settings: the table `[tool.qualia]` in pyproject.toml."""

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
from qualia_lab.masking.privacy import EVERYTHING_SHOWN, Privacy, check_pattern
from qualia_lab.selection import split_metric
from qualia_lab.stores.open import find_tracking_uri, open_store
from qualia_lab.study.settings import Better, MetricRole, StudySettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.stores.protocol import TrackingStore

FILE = "pyproject.toml"
_TABLES = ("templates", "metrics", "findings", "privacy")
_LISTS = ("seeds", "factors", "labels", "statuses")
_SAFETY = ("mask", "never_mask", "kernel_environment")
_KEYS = ("metric", *_LISTS, *_SAFETY, "baseline", "pool", "smallest_difference", *_TABLES)
_PRIVACY = ("redact", "content", "patterns")
_EXAMPLES = {
    "statuses": '["FINISHED"]',
    "mask": '["license_no"]',
    "never_mask": '["token"]',
    "kernel_environment": '["DATA_FOLDER"]',
    "privacy.patterns": r"['C-\d{6}']",
}
_METRIC = 'Write val_auc = "higher" or val_auc = { better = "lower", role = "cost" }.'


@dataclass(frozen=True)
class Settings:
    """The content of the table; missing keys have their defaults.

    Attributes:
        templates: {name: path} of the project's templates.
        study: how to interpret and compare runs. Thresholds of findings are validated later, by the rules.
        masking: additional names of params and tags to mask, and names that are never masked.
        kernel_environment: additional environment variables for the executing kernel, as names or globs.
        privacy: what of people's words in traces and evaluations is left out.
    """

    templates: Mapping[str, Path] = field(default_factory=dict)
    study: StudySettings = field(default_factory=StudySettings)
    masking: MaskRules = DEFAULT_RULES
    kernel_environment: tuple[str, ...] = ()
    privacy: Privacy = EVERYTHING_SHOWN


def settings_from_arguments(
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
    """Create StudySettings from flags or arguments.

    Args:
        metric: the primary metric: `METRIC`, `METRIC:max` or `METRIC:min`.
        seeds: params that only repeat a configuration; None to infer them.
        factors: params and tags that distinguish configurations, regardless of their names and values.
        labels: params and tags that are only names.
        baseline: a run by its id or name, or its params: `{"lr": "0.1"}`, or texts such as `lr=0.1`.
        pool: whether all experiments are one task.
        smallest_difference: the smallest difference of the primary metric that matters.
        findings: thresholds of rules.

    Returns:
        The settings.

    Raises:
        SelectionError: the baseline is neither one run nor params with values.
    """
    key, better = (None, None) if metric is None else split_metric(metric)
    return StudySettings(
        metric=key,
        better={key: better} if key is not None and better is not None else {},
        seeds=None if seeds is None else tuple(seeds),
        factors=tuple(factors),
        labels=tuple(labels),
        baseline=_parse_baseline(baseline),
        pool=pool,
        smallest_difference=smallest_difference,
        findings=findings or {},
    )


def read_settings(folder: Path | None = None) -> Settings:
    """Read the settings in the pyproject.toml of a folder, by default of the current one.

    Returns default settings if there is no such file. Raises SettingsError if the file is not TOML or the table is
    invalid.
    """
    path = (folder or Path()) / FILE
    try:
        project = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError):
        return Settings()
    except ValueError as error:  # includes UnicodeDecodeError
        raise SettingsError(f"{path} cannot be read: {one_line(str(error), 200)}.", "Correct it.") from error
    tool = project.get("tool", {})
    table = tool.get("qualia", {}) if isinstance(tool, dict) else {}
    if not isinstance(table, dict):
        raise SettingsError(f"In {path}, tool.qualia is not a table.", "Write [tool.qualia] on a line of its own.")
    for key in table:
        if key not in _KEYS:
            suggestions = get_close_matches(key, _KEYS, n=1)
            raise SettingsError(
                f"In {path}, [tool.qualia] has no key {one_line(key, 60)}.",
                f"Did you mean {suggestions[0]}?" if suggestions else f"Known keys: {', '.join(_KEYS)}.",
            )
    return Settings(
        templates={name: Path(text) for name, text in _texts(path, table, "templates").items()},
        study=_study(path, table),
        masking=MaskRules(*(_list(path, table, name) or () for name in ("mask", "never_mask"))),
        kernel_environment=_list(path, table, "kernel_environment") or (),
        privacy=_privacy(path, _table(path, table, "privacy")),
    )


def find_settings(folder: Path | None = None) -> Settings:
    """Read the settings of the nearest folder with a [tool.qualia]: this one or one of its parents.

    A notebook runs in a subfolder of the project. Default settings if there is none. Raises SettingsError.
    """
    start = (folder or Path()).absolute()
    for candidate in (start, *start.parents):
        settings = read_settings(candidate)
        if settings != Settings():
            return settings
    return Settings()


def open_given_store(
    tracking_uri: str | Path | None,
    *,
    show_secrets: bool = False,
    redact: bool | None = None,
    content: bool | None = None,
) -> TrackingStore:
    """Open the store that a user names, with the project's rules for masking and privacy.

    Args:
        tracking_uri: as for `open_store`; None for MLFLOW_TRACKING_URI or, if that is not set, mlflow.db or mlruns in
            the current folder.
        show_secrets: return values as they are stored, without masking.
        redact: whether e-mail addresses, phone numbers and matches of the project's patterns are replaced; None for
            what the project says.
        content: whether what people and models wrote is shown; None for what the project says.

    Raises:
        StoreNotFound: there is no store at this place.
        SettingsError: [tool.qualia] in pyproject.toml is invalid.
    """
    uri, _ = find_tracking_uri(None if tracking_uri is None else str(tracking_uri))
    settings = find_settings()
    privacy = settings.privacy.with_choice(redact, content)
    return open_store(uri, show_secrets=show_secrets, rules=settings.masking, privacy=privacy)


def _study(path: Path, table: dict[str, Any]) -> StudySettings:
    """The part of the table that describes how to interpret runs."""
    metrics = {key: _metric_entry(path, key, value) for key, value in _table(path, table, "metrics").items()}
    key, better = split_metric(_metric(path, table.get("metric")) or "")
    seeds, factors, labels, statuses = (_list(path, table, name) for name in _LISTS)
    directions = {key: entry["better"] for key, entry in metrics.items() if "better" in entry}
    return StudySettings(
        metric=key or None,
        better=directions | ({key: better} if better is not None else {}),
        metric_roles={key: entry["role"] for key, entry in metrics.items() if "role" in entry},
        seeds=seeds,
        factors=factors or (),
        labels=labels or (),
        baseline=_baseline(path, table),
        statuses=None if statuses is None else tuple(status.upper() for status in statuses),
        pool=_pool(path, table.get("pool", False)),
        smallest_difference=_smallest_difference(path, table.get("smallest_difference")),
        findings=_table(path, table, "findings"),
    )


def _metric_entry(path: Path, key: str, value: Any) -> dict[str, Any]:
    """The entry of one metric in [tool.qualia.metrics]: its better direction, its role, or both."""
    entry = {"better": value} if isinstance(value, str) else value
    where = f"In {path}, [tool.qualia.metrics] {one_line(key, 60)}"
    if not isinstance(entry, dict) or not entry or not entry.keys() <= {"better", "role"}:
        raise SettingsError(f"{where} has neither a better direction nor a role.", _METRIC)
    for name, allowed in (("better", get_args(Better)), ("role", get_args(MetricRole))):
        if name in entry and entry[name] not in allowed:
            raise SettingsError(f"{where} has a {name} that is not one of {', '.join(allowed)}.", _METRIC)
    return entry


def _metric(path: Path, value: Any) -> str | None:
    if value is None or (isinstance(value, str) and value.strip()):
        return value
    raise SettingsError(f"In {path}, [tool.qualia] metric is not a text.", 'Write metric = "val_auc:max".')


def _list(path: Path, table: dict[str, Any], key: str) -> tuple[str, ...] | None:
    value = table.get(key)
    if value is None:
        return None
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    example = _EXAMPLES.get(key) or f'["{key[:-1]}"]'
    raise SettingsError(f"In {path}, [tool.qualia] {key} is not a list of texts.", f"Write {key} = {example}.")


def _privacy(path: Path, table: dict[str, Any]) -> Privacy:
    """The table [tool.qualia.privacy]."""
    where = f"In {path}, [tool.qualia.privacy]"
    for key, value in table.items():
        if key not in _PRIVACY:
            raise SettingsError(f"{where} has no key {one_line(key, 60)}.", f"Known keys: {', '.join(_PRIVACY)}.")
        if key != "patterns" and not isinstance(value, bool):
            example = "redact = true" if key == "redact" else "content = false"
            raise SettingsError(f"{where} {key} is neither true nor false.", f"Write {example}.")
    patterns = _list(path, {"privacy.patterns": table.get("patterns")}, "privacy.patterns") or ()
    return Privacy(
        table.get("redact", False),
        table.get("content", True),
        tuple(check_pattern(text, where) for text in patterns),
    )


def _pool(path: Path, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise SettingsError(f"In {path}, [tool.qualia] pool is neither true nor false.", "Write pool = true.")


def _smallest_difference(path: Path, value: Any) -> float | None:
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool) and value > 0):
        return value
    raise SettingsError(
        f"In {path}, [tool.qualia] smallest_difference is not a number above 0.", "Write smallest_difference = 0.01."
    )


def _baseline(path: Path, table: dict[str, Any]) -> str | dict[str, str] | None:
    value = table.get("baseline")
    return value if value is None or isinstance(value, str) else _texts(path, table, "baseline")


def _table(path: Path, table: dict[str, Any], key: str) -> dict[str, Any]:
    values = table.get(key, {})
    if not isinstance(values, dict):
        raise SettingsError(f"In {path}, [tool.qualia] {key} is not a table.", f"Write [tool.qualia.{key}].")
    return values


def _texts(path: Path, table: dict[str, Any], key: str) -> dict[str, str]:
    """A table with texts as values; numbers and booleans become the text that MLflow logs for them."""
    values = table.get(key, {})
    if not isinstance(values, dict):
        raise SettingsError(
            f"In {path}, [tool.qualia] {key} has the wrong type.", f'Write {key} = {{ name = "text" }}.'
        )
    for name, value in values.items():
        if not isinstance(value, str | int | float):
            raise SettingsError(
                f"In {path}, [tool.qualia] {key}.{one_line(name, 60)} is neither text nor a number.",
                f'Write {key} = {{ name = "text" }}.',
            )
    return {name: str(value) for name, value in values.items()}


def _parse_baseline(baseline: str | Sequence[str] | Mapping[str, str] | None) -> str | Mapping[str, str] | None:
    """The baseline as a run id or name, or params as a dict; a text with `=` is a param."""
    if not baseline:
        return None
    if isinstance(baseline, Mapping):
        return baseline
    texts = [baseline] if isinstance(baseline, str) else list(baseline)
    if len(texts) == 1 and "=" not in texts[0]:
        return texts[0]
    for text in texts:
        if "=" not in text:
            raise SelectionError(
                f"The baseline {one_line(text, 100)} is not of the form param=value.",
                "Name one run, or only params, each with its value.",
            )
    return {key.strip(): value.strip() for key, _, value in (text.partition("=") for text in texts)}
