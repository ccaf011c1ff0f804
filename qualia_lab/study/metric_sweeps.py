"""What sweepers write into the tags of their runs about the direction of a metric."""

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
    """The direction of the metrics that Optuna's MLflow callback logged.

    It writes a tag `direction` and the value under the name `value`, or one that it was given; of several objectives a
    list of directions and the names `value_0`, `value_1` (optuna_integration.mlflow.MLflowCallback). Which metric was
    its own is not said: it is `value`, else the only one of the runs.

    Args:
        run_tags: tags of runs.
        objectives: the keys of metrics that may be objectives.
    """
    rows = run_tags.filter(pc.is_in(run_tags.column("key"), value_set=column(["direction", "directions"], STRING)))
    said = {tuple(_DIRECTION.findall(text or "")) for text in pc.unique(rows.column("value")).to_pylist()} - {()}
    found: defaultdict[str, set[str]] = defaultdict(set)
    for directions in said:
        if len(directions) == 1:
            own = ["value"] if "value" in objectives else list(objectives)
            if len(own) == 1:
                found[own[0]].add(directions[0])
        for place, direction in enumerate(directions if len(directions) > 1 else ()):
            found[f"value_{place}"].add(direction)
    better: dict[str, Better] = {"MINIMIZE": "lower", "MAXIMIZE": "higher"}
    return {key: better[one.pop()] for key, one in found.items() if len(one) == 1 and key in objectives}
