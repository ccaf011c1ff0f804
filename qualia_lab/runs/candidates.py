"""The configurations to choose from, best first, with what else matters for the choice."""

from __future__ import annotations

from statistics import fmean, median
from typing import TYPE_CHECKING

from qualia_lab.analysis.groups import short_labels
from qualia_lab.analysis.models import model_folders, named_models
from qualia_lab.analysis.scores import scores
from qualia_lab.errors import QualiaLabError
from qualia_lab.escaping import one_line
from qualia_lab.runs.statistics import Statistics, mean_of, why_n
from qualia_lab.study.statuses import left_out, statuses_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd


class Candidates(Statistics):
    """What a choice starts from."""

    def candidates(
        self,
        metrics: Sequence[str] = (),
        metric: str | None = None,
        *,
        seeds: Sequence[str] | None = None,
        statuses: Sequence[str] | None = None,
        statistic: str = "last",
        limit: int = 20,
    ) -> pd.DataFrame:
        """A row per configuration, the best mean of a metric first; by default of the primary one.

        `n` of `runs` are in the mean, `left out` says why the others are not (see `groups`); the 95 % interval is of
        the mean. metrics: others, of which the mean is shown. `took (s)` is the median duration of the runs that
        count. `with model` says how many of the runs have a logged model or an MLmodel file, and `model` what it is
        called. `run_id` is the best run of the configuration, the first one where no direction is known.
        `attrs["showing"]` says how many of how many.
        """
        import pandas as pd

        metric = metric or self._primary()
        better = self._better(metric)
        groups = sorted(
            self._groups(metric, seeds, statistic, statuses),
            key=lambda group: (group.mean is None, (group.mean or 0.0) * (1 if better is False else -1)),
        )
        shown = groups[:limit]
        others = {key: scores(self.tables, key).values for key in metrics if key != metric}  # noqa: PD011 - of no DataFrame
        uncounted = left_out(statuses_of(self.tables), statuses)
        took, models = self._took(), self._models([group.best_run for group in shown])
        names = short_labels([group.configuration for group in groups])
        rows = []
        for group in shown:
            run_ids = group.run_ids
            counted = [run_id for run_id in run_ids if run_id not in uncounted]
            row: dict[str, object] = {
                "candidate": one_line(names[group.run_ids[0]], 120),
                "n": len(group.values),
                "runs": len(run_ids),
                mean_of(metric, statistic): group.mean,
                "95 % low": group.interval.low if group.interval else None,
                "95 % high": group.interval.high if group.interval else None,
            }
            for key, values in others.items():
                row[f"mean {key}"] = fmean(known) if (known := [values[r] for r in counted if r in values]) else None
            with_model = [run_id for run_id in run_ids if models.get(run_id)]
            best = group.best_run or run_ids[0]
            rows.append(
                row
                | {
                    "took (s)": round(median(known), 1) if (known := [took[r] for r in counted if r in took]) else None,
                    **why_n(group, groups),
                    "with model": f"{len(with_model)} of {len(run_ids)}",
                    "model": one_line(", ".join(dict.fromkeys(n for r in with_model for n in models[r])), 60),
                    "first run" if better is None else "best run": self._labels[best],
                    "run_id": best,
                }
            )
        frame = pd.DataFrame(rows).convert_dtypes()
        frame.attrs["showing"] = f"{len(shown)} of {len(groups)}"
        return frame

    def _took(self) -> dict[str, float]:
        """Seconds by run, of those with a start and an end."""
        return {
            row["run_id"]: (row["end_time"] - row["start_time"]) / 1000
            for row in self.tables.runs.to_pylist()
            if row["start_time"] is not None and row["end_time"] is not None and row["end_time"] >= row["start_time"]
        }

    def _models(self, looked_into: Sequence[str | None]) -> dict[str, tuple[str, ...]]:
        """The names of models by run; the files of some runs are looked through where they name none."""
        found = named_models(self.tables)
        for run_id in looked_into:
            if run_id is None or run_id in found:
                continue
            try:
                _, files, _ = self._artifact_files(self._one(run_id))
            except QualiaLabError:
                continue
            if folders := model_folders([file.path for file in files]):
                found[run_id] = folders
        return found
