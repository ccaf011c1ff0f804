"""`runs.models`: the models of the runs, what they are, which is best on which dataset, and where aliases point."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qualia_lab.analysis.champions import aliases_of, rank_champions
from qualia_lab.analysis.model_checkpoints import best_models, checkpoint_steps, saved_steps
from qualia_lab.analysis.model_files import ModelFile
from qualia_lab.analysis.models import MODELS_SHOWN, shown_first, versions_of
from qualia_lab.counts import and_more
from qualia_lab.escaping import one_line
from qualia_lab.runs.evaluated import models_of_runs
from qualia_lab.runs.frames import datetimes
from qualia_lab.runs.listed_models import listed_models
from qualia_lab.runs.message import Message
from qualia_lab.runs.model_files import model_files
from qualia_lab.runs.namespace import Namespace
from qualia_lab.study.known_keys import unknown_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from qualia_lab.analysis.champions import ChampionRank
    from qualia_lab.analysis.model_checkpoints import BestModel
    from qualia_lab.charts.model_cards import ModelCards
    from qualia_lab.runs.listed_models import ListedModels

_MOST_ROWS = 60
_NAMED = 3
_NONE = "No run created or lists a logged model."
_WORDS = {True: "higher", False: "lower", None: "unknown"}


class Models(Namespace):
    """Models that the runs logged, and versions of registered models that were made from them or from the runs."""

    name = "models"

    def table(self) -> pd.DataFrame | Message:
        """A row per model, in the order of their creation: logged models, then those in the artifacts of the runs.

        Returns:
            The index is the model's name.

            - `run`: the run that created it, else the runs that list it. `step`: at which it was saved.
            - `registered as`: the versions made from it, with their aliases.
            - `flavours`, `bytes`, `signature` in short: what its file MLmodel says.
            - `type`, `status`, `created (UTC)`; `model_id`: of logged models of MLflow 3.
            - `MLmodel`: why its file says nothing.

            At most 60 rows: the models with aliases, registered ones, those with the best metrics, then the latest.
            `attrs["showing"]` says how many of how many.
        """
        import pandas as pd

        known, names, runs, steps, registered = self._listed
        if not known:
            return Message(_NONE)
        shown = {model.key for model in shown_first(models_of_runs(self._loaded), known, MODELS_SHOWN)}
        models = [model for model in known if model.key in shown]
        files = model_files(self._loaded, models)
        rows = []
        for model in models:
            file = files[model.key]
            read = file if isinstance(file, ModelFile) else None
            rows.append(
                {
                    "model": names[model.key],
                    "run": and_more(runs.get(model.key, []), _NAMED),
                    "step": steps.get(model.key),
                    "flavours": read and (read.flavours_in_short() or None),
                    "bytes": read and read.size,
                    "registered as": and_more(registered[model.key], _NAMED) if model.key in registered else None,
                    "signature": read and (one_line(read.signature.in_short(), 120) or None),
                    "type": model.model_type,
                    "status": (model.status or "").lower() or None,
                    "created (UTC)": model.created,
                    "model_id": model.model_id or None,
                    "MLmodel": file if isinstance(file, str) else None,
                }
            )
        frame = pd.DataFrame(rows).set_index("model")
        frame["created (UTC)"] = datetimes(frame["created (UTC)"]).dt.floor("s").dt.tz_localize(None)
        for name in ("step", "bytes"):
            frame[name] = frame[name].astype("Int64")
        frame.attrs["showing"] = f"{len(rows)} of {len(known)}"
        if not any(steps.values()):  # MLflow writes 0 if none was given
            frame = frame.drop(columns="step")
        return frame.dropna(axis="columns", how="all")

    def cards(self, *models: str, limit: int = 12) -> ModelCards | Message:
        """A folded card per model: its run, code and data, what it is registered as, its signature and metrics.

        What a model takes and returns, its flavours and its size are read from its file MLmodel; no model is loaded.

        Args:
            *models: names as in `table`, or ids; none for the models with aliases, then registered ones, those with the
                best metrics, and the latest.
            limit: the most cards, if no models are named.

        Raises:
            UnknownKey: there is no such model.

        Example:
            >>> runs.models.cards("gbm")
        """
        from qualia_lab.charts.model_cards import ModelCards
        from qualia_lab.runs.model_cards import model_cards

        known, names = self._listed.models, self._names
        if not known:
            return Message(_NONE)
        chosen = shown_first(models_of_runs(self._loaded), known, limit)
        if models:
            chosen = tuple(model for model in known if {model.key, model.name, names[model.key]} & {*models})
            said = {word for model in chosen for word in (model.key, model.name, names[model.key])}
            for name in models:
                if name not in said:
                    raise unknown_key(name, [*names.values()], "model")
        cards = model_cards(self._loaded, chosen)
        total = len(cards) if models else len(known)
        problems = models_of_runs(self._loaded).problems.to_pylist()
        notes = [f"{row['subject']} could not be read: {row['reason']}" for row in problems[:_NAMED]]
        notes += [f"and {len(problems) - _NAMED:,} more that could not be read"] if len(problems) > _NAMED else []
        return ModelCards(cards, total, "runs.models.cards(NAME) shows another one.", notes)

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
        frame = pd.DataFrame(rows).set_index("metric").astype({"value": "Float64", "next value": "Float64"})
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
            - `model`: the model that the version was made from, `run`: its run.
            - `rank`: of champions, by each metric with a known direction that other models of the experiment have.
        """
        import pandas as pd

        tables = models_of_runs(self._loaded)
        if not tables.versions.num_rows:
            return Message("No version of a registered model was made from these runs or their models.")
        aliases = aliases_of(tables)
        models = {
            (row["name"], row["version"]): self._names[key]
            for key, rows in versions_of(tables, self._listed.models).items()
            for row in rows
        }
        ranks: dict[tuple[str, str], list[ChampionRank]] = {}
        for rank in rank_champions(aliases, self._ranked()):
            ranks.setdefault((rank.alias.name, rank.alias.alias), []).append(rank)
        rows: list[dict[str, Any]] = [
            {
                "registered model": one_line(one.name, 80),
                "alias": one_line(one.alias, 80),
                "version": one.version,
                "model": models.get((one.name, one.version)),
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
                "model": models.get((row["name"], row["version"])),
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
    def _listed(self) -> ListedModels:
        return listed_models(self._loaded)

    @property
    def _names(self) -> Mapping[str, str]:
        """The displayed name of each model, by its key; all are distinct."""
        return self._listed.names

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
