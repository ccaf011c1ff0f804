"""`runs.failures`: how runs ended, when metrics went bad, what distinguishes failed runs, and how their logs end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qualia_lab.analysis.endings import endings, error_tags
from qualia_lab.analysis.findings.diverged import first_bad_step
from qualia_lab.analysis.findings.failed_apart import SIGNS, values_of_failed
from qualia_lab.analysis.shared_values import shared_values
from qualia_lab.counts import and_more, counted, none_of
from qualia_lab.escaping import one_line
from qualia_lab.inventory import SYSTEM_METRICS
from qualia_lab.runs.evidence import take_evidence
from qualia_lab.runs.frames import datetimes
from qualia_lab.runs.log_tails import tails_of
from qualia_lab.runs.message import ASIDE, Message
from qualia_lab.runs.namespace import Namespace
from qualia_lab.runs.troubles import bad_histories, last_steps, troubles, wrong_runs
from qualia_lab.study.statuses import kind_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd

    from qualia_lab.charts.log_card import LogCard, LogTail

_MOST_ROWS = 40
_SHOWN_ERROR = 200  # characters
_NAMED = 4


class Failures(Namespace):
    """How runs failed.

    The runs in question are those that failed or were killed; if there are none, those with a metric that went bad: one
    that became NaN or infinite, or a loss that diverged.
    """

    name = "failures"

    def endings(self) -> pd.DataFrame:
        """A row per status, failed runs first, with counts, times and durations.

        Returns:
            The index is the status. `runs`: the number of runs; `first start (UTC)` and `last start (UTC)`; `shortest
            (s)`, `median (s)` and `longest (s)`: durations in seconds; `without a metric`: how many runs logged none;
            `which`: the labels of some of them.
        """
        import pandas as pd

        groups = endings(self._loaded.tables)
        starts = {name: datetimes(pd.Series([getattr(group, name) for group in groups])) for name in ("first", "last")}
        return pd.DataFrame(
            {
                "runs": [len(group.run_ids) for group in groups],
                **{f"{name} start (UTC)": at.dt.floor("s").dt.tz_localize(None).array for name, at in starts.items()},
                "shortest (s)": _nullable(min(group.seconds, default=None) for group in groups),
                "median (s)": _nullable(group.median_seconds for group in groups),
                "longest (s)": _nullable(max(group.seconds, default=None) for group in groups),
                "without a metric": [group.without_metrics for group in groups],
                "which": [self._named(group.run_ids) for group in groups],
            },
            index=pd.Index([group.status.lower() for group in groups]),
        )

    def troubled(self) -> pd.DataFrame | Message:
        """A row per run with a problem: failed, unfinished, with a metric that went bad, or without any metric.

        Returns:
            The index is the run's label; failed and killed runs come first, then unfinished ones, then those with a
            metric that went bad, then finished ones without a metric.

            - `trouble`: what is wrong.
            - `start (UTC)`, and `took (s)`, the duration in seconds.
            - `last step`: the highest step of a metric.
            - `error`: what the tags of the run say (`error`, `exception`, `traceback`, ...).
            - `run_id`.

        Example:
            >>> runs.failures.troubled()
        """
        import pandas as pd

        trouble_of, tables = troubles(self._loaded), self._loaded.tables
        if not trouble_of:
            return Message(
                f"{none_of(len(self._loaded), 'run')} failed, is unfinished or logged no metric, and no metric went "
                "bad."
            )
        steps, errors = last_steps(self._loaded), error_tags(tables)
        rows = {row["run_id"]: row for row in tables.runs.to_pylist()}
        frame = pd.DataFrame(
            {
                "trouble": list(trouble_of.values()),
                "start (UTC)": [rows[run_id]["start_time"] for run_id in trouble_of],
                "took (s)": _nullable(_seconds(rows[run_id]) for run_id in trouble_of),
                "last step": pd.array([steps.get(run_id) for run_id in trouble_of], dtype="Int64"),
                "error": [
                    one_line(errors[run_id], _SHOWN_ERROR) if run_id in errors else None for run_id in trouble_of
                ],
                "run_id": list(trouble_of),
            },
            index=pd.Index([self._loaded.labels[run_id] for run_id in trouble_of]),
        )
        frame["start (UTC)"] = datetimes(frame["start (UTC)"]).dt.floor("s").dt.tz_localize(None)
        return frame

    def first_bad_steps(self) -> pd.DataFrame | Message:
        """A row per metric history that went bad, by run, the earliest first: from which step on, and how.

        Returns:
            The index is the run's label.

            - `metric`: its key. `points`: logged points, of which `NaN` and `infinite` are not finite.
            - `not finite at`: the first step with a NaN or infinite value. `diverges from`: the first step from which
              on a loss diverges.
            - `first`: the first value. `last finite`, `at step`: the last finite value and its step.

            At most 40 rows; `attrs["showing"]` says how many of how many.
        """
        import pandas as pd

        bad = bad_histories(self._loaded)
        if not bad:
            return Message(
                f"No metric of {counted(len(self._loaded), 'run')} became NaN or infinite, and no loss diverged."
            )
        rows = [
            {
                "metric": key,
                "not finite at": one.odd_step if one.nan + one.infinite else None,
                "NaN": one.nan,
                "infinite": one.infinite,
                "points": one.points,
                "diverges from": first_bad_step(one, diverges=True) if diverges else None,
                "first": one.first,
                "last finite": one.last,
                "at step": one.last_step if one.last == one.last else None,
            }
            for key, one, diverges in bad[:_MOST_ROWS]
        ]
        index = pd.Index([self._loaded.labels[one.run_id] for _, one, _ in bad[:_MOST_ROWS]])
        frame = pd.DataFrame(rows, index).convert_dtypes()
        frame.attrs["showing"] = f"{len(rows)} of {len(bad)}"
        return frame

    def what_sets_apart(self, runs: Sequence[str] | None = None, *, limit: int = 12) -> pd.DataFrame | Message:
        """Values that failed runs have more often than the others, those least likely by chance first.

        Considered are params, tags, code, data and the day of the start (UTC), by single values and by thresholds of
        numbers. Parent runs are not considered.

        Args:
            runs: ids or names of the runs to explain; None for the failed ones, else those with a metric that went bad.
                They are compared with the finished runs.
            limit: the most rows.

        Returns:
            The index is the param, tag or fact.

            - `value`: the value or threshold; `(none)` if it is missing.
            - `of N that failed`, `of N that finished`: how many runs of each side have it.
            - `p`: one-sided, by Fisher's exact test. `p (corrected)`: by Tarone's method, for all conditions that could
              have been significant.

        Raises:
            UnknownRun: a run is not loaded, or several runs have that name.

        Example:
            >>> runs.failures.what_sets_apart()
        """
        import pandas as pd

        tables = self._loaded.tables
        wrong, what = wrong_runs(self._loaded, runs)
        finished = [run_id for trait in endings(tables) if trait.status == "FINISHED" for run_id in trait.run_ids]
        aside = {run_id for run_id, why in self._loaded.study.left_out.items() if kind_of(why) in ASIDE}
        others = [run_id for run_id in finished if run_id not in {*wrong, *aside}]
        if len(wrong) < 2 or not others:
            return Message(
                f"{counted(len(wrong), 'run')} {what} and {len(others)} finished without problems: too few to "
                "tell what distinguishes them."
            )
        traits = shared_values(tables, self._loaded.study, wrong, others)
        if not traits:
            return Message(
                f"The {len(wrong)} runs that {what} share nothing that {counted(len(others), 'other')} had less."
            )
        rows = [
            {
                "value": "(none)" if trait.value is None else f"{SIGNS[trait.relation]} {one_line(trait.value, 80)}",
                f"of {trait.wrong} that {what}": trait.wrong_with,
                f"of {trait.others} that finished": trait.others_with,
                "p": trait.p,
                "p (corrected)": trait.corrected_p,
            }
            for trait in traits[:limit]
        ]
        kinds = {"origin": "", "time": ""}
        index = pd.Index([f"{kinds.get(trait.kind, trait.kind)} {trait.key}".strip() for trait in traits[:limit]])
        frame = pd.DataFrame(rows, index)
        frame.attrs["showing"] = f"{len(rows)} of {len(traits)}"
        return frame

    def by_value(self) -> pd.DataFrame:
        """A row per value, threshold or pair of them that at least two failed runs share, within each experiment.

        Returns:
            The index is the param, or two.

            - `experiment`, if there are several. `value`: the value or threshold.
            - `failed with it`, `failed`, `finished with it`, `finished`: numbers of runs.
            - `p`: one-sided, by Fisher's exact test. `corrected p`: by Tarone (1990), for the number of conditions that
              could have been significant.
        """
        import pandas as pd

        called = {task.experiment: self._loaded.called(task) for task in self._loaded.study.tasks}
        rows = [
            {
                "param": " and ".join(term.param for term in condition.terms),
                "experiment": called[experiment],
                "value": " and ".join(f"{SIGNS[term.relation]} {one_line(term.value, 80)}" for term in condition.terms),
                "failed with it": condition.failed_with,
                "failed": condition.failed_with + condition.failed_without,
                "finished with it": condition.finished_with,
                "finished": condition.finished_with + condition.finished_without,
                "p": condition.p,
                "corrected p": condition.corrected,
            }
            for experiment, condition in values_of_failed(take_evidence(self._loaded, {}, ()))
        ]
        columns = ["value", "failed with it", "failed", "finished with it", "finished", "p", "corrected p"]
        several = ["experiment"] if len(self._loaded.study.tasks) > 1 else []
        return pd.DataFrame(rows, columns=["param", *several, *columns]).set_index("param")

    def log_tails(self, runs: Sequence[str] | None = None, *, limit: int = 5, lines: int = 30) -> LogCard | Message:
        """The last lines of log files among the artifacts, and errors recorded in tags.

        Logs are text files named `*.log`, `*.out`, `*.err`, `stdout`, `stderr`, `traceback`, `logs.txt` and the like.

        Args:
            runs: ids or names of runs; None for the first `limit` runs with a problem that have logs, failed ones
                first.
            limit: the most runs, if `runs` is None.
            lines: the most lines per log.

        Returns:
            A card that displays as HTML in a notebook and as text elsewhere.

        Raises:
            UnknownRun: a run is not loaded, or several runs have that name.

        Example:
            >>> runs.failures.log_tails(["gbm-03-seed2"], lines=50)
        """
        from qualia_lab.charts.log_card import LogCard

        run_ids = [*troubles(self._loaded)] if runs is None else [self._loaded.run_id(run) for run in runs]
        if not run_ids:
            return Message(
                f"{none_of(len(self._loaded), 'run')} has a problem: name one, runs.failures.log_tails([RUN_IDS[0]])."
            )
        tails: list[LogTail] = []
        searched = shown = 0
        for run_id in run_ids:
            if runs is None and (shown == limit or searched == 10 * limit):
                break
            run_tails = tails_of(self._loaded, run_id, lines)
            searched += 1
            shown += bool(run_tails)
            tails += run_tails
        which_runs = counted(len(run_ids), "run")
        which_runs = f"these {which_runs}" if runs is not None else f"{which_runs} with problems"
        if not tails:
            return Message(
                f"None of {searched} of {which_runs} has a file named like a log, or a tag that records an error."
            )
        return LogCard(tails, f"The last lines of the logs of {shown} of {which_runs}.")

    def system_at_the_end(self, *, limit: int = 5) -> pd.DataFrame | Message:
        """The last system metrics that MLflow sampled in failed runs, compared with finished ones.

        Args:
            limit: the most runs.

        Returns:
            A row per system metric, without the prefix `system/`; a column per failed run. `finished, median` is the
            median of the last values of the `n` finished runs that have the metric.
        """
        import pandas as pd

        tables = self._loaded.tables
        wrong, _ = wrong_runs(self._loaded, None)
        last = {
            (row["run_id"], row["key"]): row["value"]
            for row in tables.metrics.to_pylist()
            if row["key"].startswith(SYSTEM_METRICS) and row["value"] is not None
        }
        if not wrong:
            return Message("No run failed, and no metric went bad.")
        shown = [run_id for run_id in wrong if any(run_id == of for of, _ in last)][:limit]
        if not shown:
            return Message(f"{none_of(len(wrong), 'run')} in question has system metrics.")
        finished = {run_id for one in endings(tables) if one.status == "FINISHED" for run_id in one.run_ids}
        table: dict[str, dict[str, Any]] = {}
        for key in sorted({key for run_id, key in last if run_id in shown}):
            of_others = pd.Series([value for (run_id, of), value in last.items() if of == key and run_id in finished])
            table[key.removeprefix(SYSTEM_METRICS)] = {
                **{self._loaded.labels[run_id]: last.get((run_id, key)) for run_id in shown},
                "finished, median": of_others.median(),
                "n": len(of_others),
            }
        return pd.DataFrame(table).T.convert_dtypes()

    def _named(self, run_ids: Sequence[str]) -> str:
        return and_more([self._loaded.labels[run_id] for run_id in run_ids], _NAMED)


def _seconds(row: dict[str, Any]) -> float | None:
    start, end = row["start_time"], row["end_time"]
    return None if start is None or end is None else (end - start) / 1000


def _nullable(durations: Iterable[float | None]) -> pd.api.extensions.ExtensionArray:
    """A column of durations, in which one that is not known is missing, which is different from a NaN."""
    import pandas as pd

    return pd.array([_rounded(seconds) for seconds in durations], dtype="Float64")


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
