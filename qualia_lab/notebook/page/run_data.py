"""The runs as data of the page, from the output of the cell that loaded them, validated because files are untrusted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# The MIME type of the runs as data, in the output of the loading cell.
RUNS_MIME = "application/vnd.qualia-lab.runs+json"

Found = TypeVar("Found")

_TEXTS = ("id", "label", "name", "experiment", "experiment_id", "status", "user", "parent")
_TIMES = ("start", "end", "seconds")
_SETTINGS = ("params", "tags")


def embedded_runs(cells: Iterable[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return the data of the last loaded runs in these cells in its known form, or None if there is none."""
    found = last_output(cells, RUNS_MIME, dict)
    if found is None:
        return None
    runs = [_run(one) for one in _items(found.get("runs")) if isinstance(one.get("id"), str)]
    configurations = [
        {
            "name": _text(one.get("name")),
            "runs": [run_id for run_id in one.get("runs") or () if isinstance(run_id, str)],
            "params": _texts(one.get("params")),
        }
        for one in _items(found.get("configurations"))
        if isinstance(one.get("runs"), list)
    ]
    of = found.get("of")
    return {
        "runs": runs,
        "configurations": configurations,
        "of": of if isinstance(of, int) else len(runs),
        "objectives": [one for one in found.get("objectives") or () if isinstance(one, str)],
        "leading": [one for one in found.get("leading") or () if isinstance(one, str)],
    }


def last_output(cells: Iterable[Mapping[str, Any]], mime: str, kind: type[Found]) -> Found | None:
    """Return the last output of a MIME type in cells, whose content is not trusted.

    Args:
        cells: cells of a notebook.
        mime: the MIME type.
        kind: the type that its value has to have; others are ignored.
    """
    found = None
    for cell in cells:
        outputs = cell.get("outputs")
        for output in outputs if isinstance(outputs, list) else ():
            data = output.get("data") if isinstance(output, dict) else None
            if isinstance(data, dict) and isinstance(data.get(mime), kind):
                found = data[mime]
    return found


def _run(one: Mapping[str, Any]) -> dict[str, Any]:
    run: dict[str, Any] = {name: _text(one.get(name)) for name in _TEXTS}
    run |= {name: _number(one.get(name)) for name in _TIMES}
    run |= {name: _texts(one.get(name)) for name in _SETTINGS}
    metrics = one.get("metrics")
    values = metrics.items() if isinstance(metrics, dict) else ()
    # JSON has no NaN and no infinities; they are texts.
    run["metrics"] = {key: value for key, value in values if isinstance(value, str) or _number(value) is not None}
    return run


def _items(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _texts(value: object) -> dict[str, str]:
    return {key: text for key, text in value.items() if isinstance(text, str)} if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
