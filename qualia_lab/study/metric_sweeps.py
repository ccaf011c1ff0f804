"""The direction of metrics, from the tags that sweepers write."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

import pyarrow.compute as pc

from qualia_lab.columns import column
from qualia_lab.schema import STRING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from qualia_lab.study.settings import Better

# `MINIMIZE`, `StudyDirection.MAXIMIZE`, `['MINIMIZE', 'MAXIMIZE']`
_DIRECTION = re.compile(r"\b(MINIMIZE|MAXIMIZE)\b")


def directions_of_sweeps(run_tags: pa.Table, objectives: Sequence[str]) -> dict[str, Better]:
    """The direction of the metrics logged by Optuna's MLflow callback.

    The callback writes a tag `direction` and logs the value as `value` or under a name given to it; with several
    objectives, it writes a list of directions and logs `value_0`, `value_1` (optuna_integration.mlflow.MLflowCallback).
    It does not record which metric is its own: `value` is assumed, else the only metric of the runs.

    Args:
        run_tags: the tags of runs.
        objectives: the keys of metrics that may be objectives.
    """
    rows = run_tags.filter(pc.is_in(run_tags.column("key"), value_set=column(["direction", "directions"], STRING)))
    recorded = {tuple(_DIRECTION.findall(text or "")) for text in pc.unique(rows.column("value")).to_pylist()} - {()}
    directions_of: defaultdict[str, set[str]] = defaultdict(set)
    for directions in recorded:
        if len(directions) == 1:
            own = ["value"] if "value" in objectives else list(objectives)
            if len(own) == 1:
                directions_of[own[0]].add(directions[0])
        for place, direction in enumerate(directions if len(directions) > 1 else ()):
            directions_of[f"value_{place}"].add(direction)
    better: dict[str, Better] = {"MINIMIZE": "lower", "MAXIMIZE": "higher"}
    return {key: better[one.pop()] for key, one in directions_of.items() if len(one) == 1 and key in objectives}
