"""What a person or a project says of keys that these runs do not have: an error, or a note."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.escaping import one_line
from qualia_lab.study.known_keys import unknown_key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from qualia_lab.study.settings import StudySettings
    from qualia_lab.study.study import Factor, Metric


def check_keys(settings: StudySettings, metrics: Iterable[Metric], factors: Iterable[Factor]) -> list[str]:
    """Sentences about what the project says of keys that are in none of these runs, for every run is of one project.

    Raises UnknownKey where a person said it.
    """
    of_metrics = [one.key for one in metrics]
    of_factors = sorted({name for one in factors for name in (one.name, one.key)})
    asked = [("metric", "metric", settings.metric, of_metrics)] if settings.metric is not None else []
    for field, keys in (("seeds", settings.seeds or ()), ("factors", settings.factors), ("labels", settings.labels)):
        asked += [(field, "param or tag", key, of_factors) for key in keys]
    notes = []
    for field, what, key, known in asked:
        if key in known:
            continue
        if settings.source(field) != "settings":
            raise unknown_key(key, known, what)
        notes.append(f"[tool.qualia] names the {what} {one_line(key, 100)}, which none of these runs has.")
    return notes
