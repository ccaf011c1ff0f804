"""`runs.failures`: how the runs ended, where metrics went bad, what sets failed runs apart, how their logs end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qualia_lab.analysis.endings import endings, error_tags
from qualia_lab.analysis.findings.diverged import first_bad_step
from qualia_lab.analysis.findings.failed_apart import SIGNS, values_of_failed
from qualia_lab.analysis.shared_values import shared_values
from qualia_lab.counts import counted, none_of
from qualia_lab.escaping import one_line
from qualia_lab.inventory import SYSTEM_METRICS
from qualia_lab.runs.evidence import take_evidence
from qualia_lab.runs.frames import datetimes
from qualia_lab.runs.log_tails import tails_of
from qualia_lab.runs.namespace import Namespace
from qualia_lab.runs.said import ASIDE, Said
from qualia_lab.runs.troubles import bad_histories, last_steps, troubles, wrong_runs
from qualia_lab.study.statuses import kind_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from qualia_lab.charts.log_card import LogCard, LogTail

_MOST_ROWS = 40
_SHOWN_ERROR = 200  # characters
_NAMED = 4


class Failures(Namespace):
    """Runs went wrong that failed or were killed; where none did, those whose metrics went bad."""

    name = "failures"

    def endings(self) -> pd.DataFrame:
        """A row per status, failed runs first: how many, when they started, how long they took (s), and which."""
        import pandas as pd

        found = endings(self._loaded.tables)
        starts = {name: datetimes(pd.Series([getattr(one, name) for one in found])) for name in ("first", "last")}
        return pd.DataFrame(
            {
                "runs": [len(one.run_ids) for one in found],
                **{f"{name} start (UTC)": at.dt.floor("s").dt.tz_localize(None).array for name, at in starts.items()},
                "shortest (s)": [_rounded(min(one.seconds, default=None)) for one in found],
                "median (s)": [_rounded(one.median_seconds) for one in found],
                "longest (s)": [_rounded(max(one.seconds, default=None)) for one in found],
                "without a metric": [one.without_metrics for one in found],
                "which": [self._named(one.run_ids) for one in found],
            },
            index=pd.Index([one.status.lower() for one in found]),
        )

    def troubled(self) -> pd.DataFrame | Said:
        """A row per run in trouble, failed ones first: what is wrong, when, how long, the last step, what it says.

        Failed and killed runs; then those without an end, those whose metrics went bad, and finished ones that logged
        no metric. `error` is what their tags say (`error`, `exception`, `traceback`, ...).
        """
        import pandas as pd

        found, tables = troubles(self._loaded), self._loaded.tables
        if not found:
            return Said(
                f"{none_of(len(self._loaded), 'run')} failed, is unfinished or logged no metric, and no metric went "
                "bad."
            )
        steps, errors = last_steps(self._loaded), error_tags(tables)
        rows = {row["run_id"]: row for row in tables.runs.to_pylist()}
        frame = pd.DataFrame(
            {
                "trouble": list(found.values()),
                "start (UTC)": [rows[run_id]["start_time"] for run_id in found],
                "took (s)": [_seconds(rows[run_id]) for run_id in found],
                "last step": pd.array([steps.get(run_id) for run_id in found], dtype="Int64"),
                "error": [one_line(errors.get(run_id, ""), _SHOWN_ERROR) for run_id in found],
                "run_id": list(found),
            },
            index=pd.Index([self._loaded.labels[run_id] for run_id in found]),
        )
        frame["start (UTC)"] = datetimes(frame["start (UTC)"]).dt.floor("s").dt.tz_localize(None)
        return frame

    def first_bad_steps(self) -> pd.DataFrame | Said:
        """A row per history that went bad, by run, what went bad first on top: from which step on, and how.

        `not finite at` is the first step with a NaN or infinite value, of so many `points`; `diverges from` the first
        step from which on a loss diverges. `last finite` is the last value that is a number.
        """
        import pandas as pd

        bad = bad_histories(self._loaded)
        if not bad:
            return Said(
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

    def what_sets_apart(self, runs: Sequence[str] | None = None, *, limit: int = 12) -> pd.DataFrame | Said:
        """The values that runs that went wrong have more often than the others, the least explained by chance first.

        runs: ids or names of the runs to look at; by default the failed ones, else those whose metrics went bad. They
        are compared with the finished ones, parents aside.
        Params, tags, code and data, and the day of the start (UTC), by values and by thresholds of numbers. `p` is
        Fisher's exact test, one-sided; `p (corrected)` is Tarone's, for all of these that could have told something.
        """
        import pandas as pd

        tables = self._loaded.tables
        wrong, what = wrong_runs(self._loaded, runs)
        finished = [run_id for one in endings(tables) if one.status == "FINISHED" for run_id in one.run_ids]
        aside = {run_id for run_id, why in self._loaded.study.left_out.items() if kind_of(why) in ASIDE}
        others = [run_id for run_id in finished if run_id not in {*wrong, *aside}]
        if len(wrong) < 2 or not others:
            return Said(
                f"{counted(len(wrong), 'run')} {what}, beside {len(others)} that finished well: too few to tell what "
                "sets them apart."
            )
        found = shared_values(tables, self._loaded.study, wrong, others)
        if not found:
            return Said(
                f"The {len(wrong)} runs that {what} share nothing that {counted(len(others), 'other')} had less."
            )
        rows = [
            {
                "value": "(none)" if one.value is None else f"{SIGNS[one.relation]} {one_line(one.value, 80)}",
                f"of {one.wrong} that {what}": one.wrong_with,
                f"of {one.others} that finished": one.others_with,
                "p": one.p,
                "p (corrected)": one.corrected_p,
            }
            for one in found[:limit]
        ]
        kinds = {"origin": "", "time": ""}
        index = pd.Index([f"{kinds.get(one.kind, one.kind)} {one.key}".strip() for one in found[:limit]])
        frame = pd.DataFrame(rows, index)
        frame.attrs["showing"] = f"{len(rows)} of {len(found)}"
        return frame

    def by_value(self) -> pd.DataFrame:
        """A row per value, threshold or telling pair of them that two failed runs have: how often, and how surely.

        Within each experiment by itself. p: Fisher's exact test, one-sided; corrected: for as many conditions as could
        have been significant (Tarone 1990).
        """
        import pandas as pd

        rows = [
            {
                "param": " and ".join(term.param for term in one.terms),
                "experiment": one_line(experiment, 60),
                "value": " and ".join(f"{SIGNS[term.relation]} {one_line(term.value, 80)}" for term in one.terms),
                "failed with it": one.failed_with,
                "failed": one.failed_with + one.failed_without,
                "finished with it": one.finished_with,
                "finished": one.finished_with + one.finished_without,
                "p": one.p,
                "corrected p": one.corrected,
            }
            for experiment, one in values_of_failed(take_evidence(self._loaded, {}, ()))
        ]
        columns = ["value", "failed with it", "failed", "finished with it", "finished", "p", "corrected p"]
        several = ["experiment"] if len(self._loaded.study.tasks) > 1 else []
        return pd.DataFrame(rows, columns=["param", *several, *columns]).set_index("param")

    def log_tails(self, runs: Sequence[str] | None = None, *, limit: int = 5, lines: int = 30) -> LogCard | Said:
        """The last lines of logs among the artifacts, and what tags say of an error.

        runs: ids or names; by default the first `limit` runs in trouble that have any, failed ones first.
        Logs are text files named `*.log`, `*.out`, `*.err`, `stdout`, `stderr`, `traceback`, `logs.txt` and the like.
        """
        from qualia_lab.charts.log_card import LogCard

        asked_for = [*troubles(self._loaded)] if runs is None else [self._loaded.run_id(run) for run in runs]
        if not asked_for:
            return Said(
                f"{none_of(len(self._loaded), 'run')} is in trouble: name one, runs.failures.log_tails([RUN_IDS[0]])."
            )
        tails: list[LogTail] = []
        asked = shown = 0
        for run_id in asked_for:
            if runs is None and (shown == limit or asked == 10 * limit):
                break
            found = tails_of(self._loaded, run_id, lines)
            asked += 1
            shown += bool(found)
            tails += found
        who = "these runs" if runs is not None else "the runs in trouble"
        if not tails:
            return Said(
                f"None of {asked} of {who} has a file that is named like a log, or a tag that tells of an error."
            )
        return LogCard(tails, f"How the logs of {shown} of {len(asked_for)} of {who} end.")

    def system_at_the_end(self, *, limit: int = 5) -> pd.DataFrame | Said:
        """What MLflow's monitor measured last: a row per system metric, a column for each of the failed runs.

        `finished, median` is the median of the last values of the finished runs, of so many of them as `n` says.
        """
        import pandas as pd

        tables = self._loaded.tables
        wrong, _ = wrong_runs(self._loaded, None)
        last = {
            (row["run_id"], row["key"]): row["value"]
            for row in tables.metrics.to_pylist()
            if row["key"].startswith(SYSTEM_METRICS) and row["value"] is not None
        }
        shown = [run_id for run_id in wrong if any(run_id == of for of, _ in last)][:limit]
        if not shown:
            return Said(f"{none_of(len(wrong), 'run')} in question has system metrics.")
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
        names = ", ".join(self._loaded.labels[run_id] for run_id in run_ids[:_NAMED])
        return names + (f" and {len(run_ids) - _NAMED:,} more" if len(run_ids) > _NAMED else "")


def _seconds(row: dict[str, Any]) -> float | None:
    start, end = row["start_time"], row["end_time"]
    return None if start is None or end is None else _rounded((end - start) / 1000)


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
