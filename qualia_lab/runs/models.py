"""`runs.models`: the logged models of the runs, which is best on which dataset, and where registered aliases point."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qualia_lab.analysis.champions import aliases_of, rank_champions
from qualia_lab.analysis.model_checkpoints import best_models, checkpoint_steps, saved_steps
from qualia_lab.counts import and_more
from qualia_lab.escaping import one_line
from qualia_lab.names import distinct_names
from qualia_lab.runs.evaluated import models_of_runs
from qualia_lab.runs.frames import datetimes
from qualia_lab.runs.message import Message
from qualia_lab.runs.namespace import Namespace

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from qualia_lab.analysis.champions import ChampionRank
    from qualia_lab.analysis.model_checkpoints import BestModel

_MOST_ROWS = 60
_NAMED = 3
_NONE = "No run created or lists a logged model of MLflow 3."
_WORDS = {True: "higher", False: "lower", None: "unknown"}


class Models(Namespace):
    """Logged models of MLflow 3, and versions of registered models that were made from them or from the runs."""

    name = "models"

    def table(self) -> pd.DataFrame | Message:
        """A row per logged model, in the order of their creation.

        Returns:
            The index is the model's name.

            - `run`: the run that created it, else the runs that list it. `step`: at which it was saved.
            - `type`, `status`, `created (UTC)`.
            - `registered as`: the versions made from it, with their aliases.
            - `model_id`.

            At most 60 rows; `attrs["showing"]` says how many of how many.
        """
        import pandas as pd

        tables, names = models_of_runs(self._loaded), self._names
        if not names:
            return Message(_NONE)
        outputs: dict[str, list[dict[str, Any]]] = {}
        for output in tables.outputs.to_pylist():
            outputs.setdefault(output["model_id"], []).append(output)
        registered = self._registered_as()
        rows = [
            {
                "model": names[model["model_id"]],
                "run": and_more(self._runs_of(model, outputs.get(model["model_id"], [])), _NAMED),
                "step": max(
                    (one["step"] for one in outputs.get(model["model_id"], []) if one["step"] is not None), default=None
                ),
                "type": model["model_type"],
                "status": (model["status"] or "").lower(),
                "created (UTC)": model["creation_time"],
                "registered as": registered.get(model["model_id"]),
                "model_id": model["model_id"],
            }
            for model in tables.models.to_pylist()[:_MOST_ROWS]
        ]
        frame = pd.DataFrame(rows).set_index("model")
        frame["created (UTC)"] = datetimes(frame["created (UTC)"]).dt.floor("s").dt.tz_localize(None)
        frame["step"] = frame["step"].astype("Int64")
        frame.attrs["showing"] = f"{len(rows)} of {len(names)}"
        return frame.dropna(axis="columns", how="all")

    def best(self) -> pd.DataFrame | Message:
        """The best model by each metric on each dataset, by the latest value that was logged for the model.

        Returns:
            The index is the metric.

            - `dataset`: its name and the start of its digest, or "not named".
            - `best model`, `value`: several models if they are equal. `next`, `next value`: the one after.
            - `models`: how many have a finite value. `better`: higher, lower, or unknown; then no model is named.

            It is the best of so many by one value each, so that its lead is biased upwards.
        """
        import pandas as pd

        rows = [self._best_row(one) for one in self._ranked() if one.ranked]
        if not rows:
            return Message("No metric was logged for a model of these runs." if self._names else _NONE)
        several = len({row["experiment"] for row in rows}) > 1
        frame = pd.DataFrame(rows).set_index("metric")
        return (frame if several else frame.drop(columns="experiment")).dropna(axis="columns", how="all")

    def saved(self) -> pd.DataFrame | Message:
        """Whether the best point of each training was saved: the best step against the steps of its models.

        Returns:
            The index is the run's label, of runs that saved models at steps; the metric is the objective.

            - `metric`, `best step`, `best value`.
            - `saved at`: the steps of its models. `saved step`, `saved value`: the best of them.
            - `is saved`: whether a model has the best value.
        """
        import pandas as pd

        rows = []
        for run_id, steps in checkpoint_steps(models_of_runs(self._loaded)).items():
            task = next((task for task in self._loaded.study.tasks if run_id in task.run_ids), None)
            if task is None or task.objective is None or task.objective.better is None:
                continue
            history = self._loaded.history(task.objective.key, [run_id])
            points = history.column("step").to_pylist(), history.column("value").to_pylist()
            one = saved_steps(
                run_id, task.objective.key, points, steps, greater_is_better=task.objective.better == "higher"
            )
            if one is not None:
                rows.append(
                    {
                        "run": self._loaded.labels[run_id],
                        "metric": one.key,
                        "best step": one.best_step,
                        "best value": one.best_value,
                        "saved at": and_more([str(step) for step in one.saved_steps], 8),
                        "saved step": one.saved_step,
                        "saved value": one.saved_value,
                        "is saved": one.is_saved,
                    }
                )
        if not rows:
            return Message("No run with an objective saved models at steps." if self._names else _NONE)
        return pd.DataFrame(rows).set_index("run")

    def registered(self) -> pd.DataFrame | Message:
        """Where aliases and stages of registered models point, and the rank of the champion among the models.

        Returns:
            The index is the registered model.

            - `alias`: an alias, or a stage of older registries. `version`: where it points.
            - `model`: the logged model of the version, `run`: its run.
            - `rank`: of champions, by each metric with a known direction that other models of the experiment have.
        """
        import pandas as pd

        tables = models_of_runs(self._loaded)
        if not tables.versions.num_rows:
            return Message("No version of a registered model was made from these runs or their models.")
        aliases = aliases_of(tables)
        ranks: dict[tuple[str, str], list[ChampionRank]] = {}
        for rank in rank_champions(aliases, self._ranked()):
            ranks.setdefault((rank.alias.name, rank.alias.alias), []).append(rank)
        rows: list[dict[str, Any]] = [
            {
                "registered model": one_line(one.name, 80),
                "alias": one_line(one.alias, 80),
                "version": one.version,
                "model": self._names.get(one.model_id),
                "run": self._loaded.labels.get(one.run_id),
                "rank": and_more(
                    [
                        f"{len(rank.better) + 1} of {len(rank.by.ranked)} by {one_line(rank.by.key, 60)}"
                        for rank in ranks.get((one.name, one.alias), [])
                    ],
                    _NAMED,
                )
                or None,
            }
            for one in aliases
        ]
        pointed = {(one.name, one.version) for one in aliases}
        others = [row for row in tables.versions.to_pylist() if (row["name"], row["version"]) not in pointed]
        rows += [
            {
                "registered model": one_line(row["name"], 80),
                "alias": None,
                "version": row["version"],
                "model": self._names.get(row["model_id"] or ""),
                "run": self._loaded.labels.get(row["run_id"] or ""),
                "rank": None,
            }
            for row in others
        ]
        rows.sort(key=lambda row: (row["registered model"], -row["version"]))
        frame = pd.DataFrame(rows[:_MOST_ROWS]).set_index("registered model")
        frame.attrs["showing"] = f"{min(len(rows), _MOST_ROWS)} of {len(rows)}"
        return frame.dropna(axis="columns", how="all")

    @property
    def _names(self) -> Mapping[str, str]:
        """The displayed name of each model, by its id; all are distinct."""
        return self._loaded.once("names of models", self._named)

    def _named(self) -> dict[str, str]:
        models = models_of_runs(self._loaded).models
        ids, names = (models.column(name).to_pylist() for name in ("model_id", "name"))
        return dict(zip(ids, distinct_names([name or "" for name in names], ids), strict=True))

    def _ranked(self) -> tuple[BestModel, ...]:
        return best_models(models_of_runs(self._loaded), self._loaded.study.settings.greater_is_better)

    def _best_row(self, one: BestModel) -> dict[str, Any]:
        best = [self._names[value.model_id] for value in one.best]
        after = one.ranked[len(best)] if best and len(one.ranked) > len(best) else None
        digest = f" ({one_line(one.dataset_digest, 8)})" if one.dataset_digest else ""
        return {
            "metric": one_line(one.key, 80),
            "experiment": self._loaded.experiments.get(one.experiment_id, one.experiment_id),
            "dataset": f"{one_line(one.dataset_name, 60)}{digest}" if one.dataset_name else "not named",
            "best model": and_more(best, _NAMED) if best else None,
            "value": one.best[0].value if best else None,
            "next": self._names[after.model_id] if after else None,
            "next value": after.value if after else None,
            "models": len(one.ranked),
            "better": _WORDS[one.greater_is_better],
        }

    def _runs_of(self, model: Mapping[str, Any], outputs: list[dict[str, Any]]) -> list[str]:
        """The labels of the runs of a model; the ids of those that are not loaded."""
        run_ids = [model["run_id"]] if model["run_id"] else [output["run_id"] for output in outputs]
        return [self._loaded.labels.get(run_id, one_line(run_id, 40)) for run_id in dict.fromkeys(run_ids)]

    def _registered_as(self) -> dict[str, str]:
        """The versions made from each model: `name v3 @champion`."""
        tables = models_of_runs(self._loaded)
        aliases: dict[tuple[str, int], list[str]] = {}
        for row in tables.aliases.to_pylist():
            aliases.setdefault((row["name"], row["version"]), []).append(f"@{one_line(row['alias'], 40)}")
        said: dict[str, list[str]] = {}
        for row in tables.versions.to_pylist():
            if row["model_id"]:
                words = [
                    f"{one_line(row['name'], 60)} v{row['version']}",
                    *aliases.get((row["name"], row["version"]), []),
                ]
                said.setdefault(row["model_id"], []).append(" ".join(words))
        return {model_id: and_more(versions, _NAMED) for model_id, versions in said.items()}
