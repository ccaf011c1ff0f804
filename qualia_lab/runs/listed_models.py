"""The models of the loaded runs with their displayed names, runs, steps and registered versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from qualia_lab.analysis.models import known_models, versions_of
from qualia_lab.escaping import one_line
from qualia_lab.names import distinct_names
from qualia_lab.runs.evaluated import models_of_runs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.analysis.models import KnownModel
    from qualia_lab.genai_tables import ModelTables
    from qualia_lab.runs.loaded import Loaded


class ListedModels(NamedTuple):
    """All models of the runs; what is said of each is by its key.

    Attributes:
        models: the models, as `known_models` returns them.
        names: the displayed names, which are distinct.
        runs: the run that created it, else those that list it, by label or id.
        steps: the step at which it was saved, if that was recorded.
        registered: the versions made from it, `name v3 @champion`.
    """

    models: Sequence[KnownModel]
    names: Mapping[str, str]
    runs: Mapping[str, Sequence[str]]
    steps: Mapping[str, int]
    registered: Mapping[str, Sequence[str]]


def listed_models(loaded: Loaded) -> ListedModels:
    """The models of the loaded runs."""
    return loaded.read_once("listed models", lambda: _listed(loaded))


def _listed(loaded: Loaded) -> ListedModels:
    tables = models_of_runs(loaded)
    known = known_models(tables, loaded.tables.tags)
    keys = [model.key for model in known]
    listing: dict[str, list[str]] = {}
    steps: dict[str, int] = {}
    for output in tables.outputs.to_pylist():
        model_id, step = output["model_id"], output["step"]
        listing.setdefault(model_id, []).append(output["run_id"])
        if step is not None:
            steps[model_id] = max(step, steps.get(model_id, step))
    run_ids = {model.key: [model.run_id] if model.run_id else listing.get(model.key, []) for model in known}
    return ListedModels(
        known,
        dict(zip(keys, distinct_names([model.name for model in known], keys), strict=True)),
        {
            key: [loaded.labels.get(one, one_line(one, 40)) for one in dict.fromkeys(ids)]
            for key, ids in run_ids.items()
        },
        steps,
        _registered(tables, known),
    )


def _registered(tables: ModelTables, known: Sequence[KnownModel]) -> dict[str, list[str]]:
    aliases: dict[tuple[str, int], list[str]] = {}
    for row in tables.aliases.to_pylist():
        aliases.setdefault((row["name"], row["version"]), []).append(f"@{one_line(row['alias'], 40)}")
    return {
        key: [
            " ".join(
                (f"{one_line(row['name'], 60)} v{row['version']}", *aliases.get((row["name"], row["version"]), []))
            )
            for row in rows
        ]
        for key, rows in versions_of(tables, known).items()
    }
