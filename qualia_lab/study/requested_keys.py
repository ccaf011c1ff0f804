"""Check the keys named by users or by the project: an error or a note for those that no run has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.escaping import one_line
from qualia_lab.study.known_keys import unknown_key
from qualia_lab.study.metric_names import stored_key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from qualia_lab.study.settings import StudySettings
    from qualia_lab.study.study import Factor, Metric


def check_keys(settings: StudySettings, metrics: Iterable[Metric], factors: Iterable[Factor]) -> list[str]:
    """Check that the runs have all keys in the settings.

    Args:
        settings: the settings.
        metrics: the metrics that exist.
        factors: the params and tags that exist.

    Returns:
        Notes about missing keys that [tool.qualia] names: its settings cover all runs of the project, not only these.

    Raises:
        UnknownKey: a user named a key that no run has.
    """
    metric_keys = [one.key for one in metrics]
    of_series = {stored_key(key) for key in metric_keys}
    factor_names = sorted({name for one in factors for name in (one.name, one.key)})
    requested = [("metric", "metric", settings.metric, metric_keys)] if settings.metric is not None else []
    for field, keys in (("seeds", settings.seeds or ()), ("factors", settings.factors), ("labels", settings.labels)):
        requested += [(field, "param or tag", key, factor_names) for key in keys]
    notes = []
    for field, what, key, known in requested:
        if key in known or (field == "metric" and key in of_series):
            continue
        if settings.source(field) != "settings":
            raise unknown_key(key, known, what)
        notes.append(f"[tool.qualia] names the {what} {one_line(key, 100)}, which none of these runs has.")
    return notes
