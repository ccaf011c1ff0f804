"""What went wrong: how the runs ended, where metrics went bad, what sets failed runs apart, how their logs end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from qualia_lab.analysis.endings import endings, error_tags
from qualia_lab.analysis.findings.diverged import Thresholds, is_diverged, is_loss
from qualia_lab.analysis.log_tails import last_lines, log_rank, looks_like_log
from qualia_lab.analysis.sets_apart import shared_values
from qualia_lab.artifacts import preview_kind
from qualia_lab.errors import QualiaLabError
from qualia_lab.escaping import one_line
from qualia_lab.inventory import SYSTEM_METRICS
from qualia_lab.runs.findings import Findings
from qualia_lab.runs.frames import datetimes
from qualia_lab.runs.loaded import Said
from qualia_lab.study.statuses import FAILED, UNFINISHED

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import pandas as pd

    from qualia_lab.analysis.findings.evidence import History
    from qualia_lab.charts.log_card import LogCard, LogTail
    from qualia_lab.stores.protocol import ArtifactFile, ArtifactPlace

_MOST_ROWS = 40
_LOG_BYTES = 8_000_000  # of a log; a larger one is not read, because only its start could be
_LOGS_OF_A_RUN = 2
_SHOWN_ERROR = 200  # characters


class Failures(Findings):
    """Runs went wrong that failed or were killed; where none did, those whose metrics went bad."""

    def endings(self) -> pd.DataFrame:
        """A row per status, failed runs first: how many, when they started, how long they took (s), and which."""
        import pandas as pd

        found = endings(self.tables)
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

        troubles = self._troubles()
        if not troubles:
            return Said(
                f"None of the {len(self):,} runs failed, is unfinished or logged no metric, and no metric went bad."
            )
        steps = self._last_steps()
        errors = error_tags(self.tables)
        rows = {row["run_id"]: row for row in self.tables.runs.to_pylist()}
        frame = pd.DataFrame(
            {
                "trouble": list(troubles.values()),
                "start (UTC)": [rows[run_id]["start_time"] for run_id in troubles],
                "took (s)": [_seconds(rows[run_id]) for run_id in troubles],
                "last step": pd.array([steps.get(run_id) for run_id in troubles], dtype="Int64"),
                "error": [one_line(errors.get(run_id, ""), _SHOWN_ERROR) for run_id in troubles],
                "run_id": list(troubles),
            },
            index=pd.Index([self._labels[run_id] for run_id in troubles]),
        )
        frame["start (UTC)"] = datetimes(frame["start (UTC)"]).dt.floor("s").dt.tz_localize(None)
        return frame

    def first_bad_steps(self) -> pd.DataFrame | Said:
        """A row per history that went bad, by run, what went bad first on top: from which step on, and how.

        `not finite at` is the first step with a NaN or infinite value, of so many `points`; `diverges from` the first
        step from which on a loss is not finite or above ten times the larger of its first and lowest value.
        `last finite` is the last value that is a number.
        """
        import pandas as pd

        bad = self._bad_histories()
        if not bad:
            return Said(f"No metric of these {len(self):,} runs became NaN or infinite, and no loss diverged.")
        rows = [
            {
                "metric": key,
                "not finite at": one.odd_step if one.nan + one.infinite else None,
                "NaN": one.nan,
                "infinite": one.infinite,
                "points": one.points,
                "diverges from": one.bad_step if diverges else None,
                "first": one.first,
                "last finite": one.last,
                "at step": one.last_step if one.last == one.last else None,
            }
            for key, one, diverges in bad[:_MOST_ROWS]
        ]
        frame = pd.DataFrame(
            rows, pd.Index([self._labels[one.run_id] for _, one, _ in bad[:_MOST_ROWS]])
        ).convert_dtypes()
        frame.attrs["showing"] = f"{len(rows)} of {len(bad)}"
        return frame

    def what_sets_apart(
        self,
        runs: Sequence[str] | None = None,
        *,
        seeds: Collection[str] | None = None,
        limit: int = 12,
    ) -> pd.DataFrame | Said:
        """The values that runs that went wrong have more often than the others, the least explained by chance first.

        runs: ids or names of the runs to look at; by default the failed ones, else those whose metrics went bad. They
        are compared with the finished ones, else with all others.
        Params, tags, code and data, and the day of the start (UTC); numbers of five values or more by halves. `p` is
        Fisher's exact test, one-sided; `p (corrected)` is Tarone's, for all values that could have told something.
        """
        import pandas as pd

        wrong, what = self._wrong(runs)
        finished = [run_id for one in endings(self.tables) if one.status == "FINISHED" for run_id in one.run_ids]
        others = [run_id for run_id in finished if run_id not in wrong]
        if len(wrong) < 2 or not others:
            count = f"{len(wrong)} run{'' if len(wrong) == 1 else 's'} {what}"
            return Said(f"{count}, beside {len(others)} that finished well: too few to tell what sets them apart.")
        found = shared_values(self.tables, wrong, others, seeds)
        if not found:
            return Said(f"The {len(wrong)} runs that {what} share nothing that the {len(others)} others have less.")
        rows = [
            {
                "value": "(none)" if one.value is None else one_line(one.value, 80),
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

    def log_tails(self, runs: Sequence[str] | None = None, *, limit: int = 5, lines: int = 30) -> LogCard | Said:
        """The last lines of logs among the artifacts, and what tags say of an error.

        runs: ids or names; by default the first `limit` runs in trouble that have any, failed ones first.
        Logs are text files named `*.log`, `*.out`, `*.err`, `stdout`, `stderr`, `traceback`, `logs.txt` and the like.
        """
        from qualia_lab.charts.log_card import LogCard

        troubled = list(self._troubles()) if runs is None else [self._run_id(run) for run in runs]
        if not troubled:
            return Said(f"None of the {len(self):,} runs is in trouble: name one, runs.log_tails([RUN_IDS[0]]).")
        tails: list[LogTail] = []
        asked = shown = 0
        for run_id in troubled:
            if runs is None and (shown == limit or asked == 10 * limit):
                break
            found = self._tails(run_id, lines)
            asked += 1
            shown += bool(found)
            tails += found
        who = "these runs" if runs is not None else "the runs in trouble"
        if not tails:
            return Said(
                f"None of {asked} of {who} has a file that is named like a log, or a tag that tells of an error."
            )
        return LogCard(tails, f"How the logs of {shown} of {len(troubled)} of {who} end.")

    def system_at_the_end(self, *, limit: int = 5) -> pd.DataFrame | Said:
        """What MLflow's monitor measured last: a row per system metric, a column for each of the failed runs.

        `finished, median` is the median of the last values of the finished runs, of so many of them as `n` says.
        """
        import pandas as pd

        wrong, _ = self._wrong(None)
        rows = self.tables.metrics.to_pylist()
        last = {
            (row["run_id"], row["key"]): row["value"]
            for row in rows
            if row["key"].startswith(SYSTEM_METRICS) and row["value"] is not None
        }
        shown = [run_id for run_id in wrong if any(run_id == of for of, _ in last)][:limit]
        if not shown:
            return Said(f"None of the {len(wrong)} runs in question has system metrics.")
        finished = {run_id for one in endings(self.tables) if one.status == "FINISHED" for run_id in one.run_ids}
        table: dict[str, dict[str, Any]] = {}
        for key in sorted({key for run_id, key in last if run_id in shown}):
            of_others = pd.Series([value for (run_id, of), value in last.items() if of == key and run_id in finished])
            table[key.removeprefix(SYSTEM_METRICS)] = {
                **{self._labels[run_id]: last.get((run_id, key)) for run_id in shown},
                "finished, median": of_others.median(),
                "n": len(of_others),
            }
        return pd.DataFrame(table).T.convert_dtypes()

    def _wrong(self, runs: Sequence[str] | None) -> tuple[list[str], str]:
        """The runs in question, and what they did, as a verb."""
        if runs is not None:
            return [self._run_id(run) for run in runs], "were named"
        failed = [run_id for one in endings(self.tables) if one.status in FAILED for run_id in one.run_ids]
        if failed:
            return failed, "failed"
        return list(dict.fromkeys(one.run_id for _, one, _ in self._bad_histories())), "went bad"

    def _troubles(self) -> dict[str, str]:
        """By run id what is wrong, in the order of how much that tells."""
        found: dict[str, list[str]] = {}
        ended = endings(self.tables)
        for one in ended:
            if one.status in FAILED:
                found |= {run_id: [one.status.lower()] for run_id in one.run_ids}
        heard = self._last_heard()
        for one in ended:
            if one.status in UNFINISHED:
                for run_id in one.run_ids:
                    found.setdefault(run_id, []).append(one.status.lower() + _silence(heard.get(run_id)))
        bad: dict[str, list[str]] = {}
        for key, history, diverges in self._bad_histories():
            bad.setdefault(history.run_id, []).append(_went(key, history, diverges=diverges))
        for run_id, said in bad.items():
            found.setdefault(run_id, []).append(said[0] + (f" and {len(said) - 1} more" if len(said) > 1 else ""))
        parents = set(self.tables.runs.column("parent_run_id").to_pylist())
        logged = set(self.tables.metrics.column("run_id").to_pylist())
        for run_id in self.tables.run_ids:
            if run_id not in logged and run_id not in parents:
                found.setdefault(run_id, []).append("no metric")
        return {run_id: "; ".join(said) for run_id, said in found.items()}

    def _bad_histories(self) -> list[tuple[str, History, bool]]:
        """(metric, history, whether it diverges) of every history that went bad, by run, the earliest first."""
        if "_bad_known" not in self.__dict__:
            evidence = self._evidence({}, None)
            place = {run_id: index for index, run_id in enumerate(self.tables.run_ids)}
            bad = []
            for key in evidence.keys:
                can_diverge = evidence.greater_is_better[key] is False and is_loss(key)
                for one in evidence.histories(key):
                    diverges = can_diverge and is_diverged(one, Thresholds())
                    if one.nan + one.infinite or diverges:
                        bad.append((key, one, diverges))
            # What is logged once, at the end, has step 0 and is not what went bad first.
            bad.sort(key=lambda of: (place[of[1].run_id], of[1].points == 1, _first_bad(of[1], of[2]), of[0]))
            self.__dict__["_bad_known"] = bad
        known: list[tuple[str, History, bool]] = self.__dict__["_bad_known"]
        return known

    def _last_steps(self) -> dict[str, int]:
        steps: dict[str, int] = {}
        for run_id, key, step in zip(
            *(self.tables.metrics.column(name).to_pylist() for name in ("run_id", "key", "step")), strict=True
        ):
            if not key.startswith(SYSTEM_METRICS):
                steps[run_id] = max(steps.get(run_id, 0), step or 0)
        return steps

    def _last_heard(self) -> dict[str, int]:
        """When a run last gave a sign: its start, or its latest point."""
        heard = dict(zip(self.tables.run_ids, self.tables.runs.column("start_time").to_pylist(), strict=True))
        columns = (self.tables.metrics.column(name).to_pylist() for name in ("run_id", "timestamp"))
        for run_id, at in zip(*columns, strict=True):
            heard[run_id] = max(heard.get(run_id) or 0, at or 0)
        return {run_id: at for run_id, at in heard.items() if at}

    def _tails(self, run_id: str, lines: int) -> list[LogTail]:
        """The ends of the logs of one run, and what its tags say of an error."""
        from qualia_lab.charts.log_card import LogTail

        one = self._one(run_id)
        label, status = self._labels[run_id], one.runs.column("status")[0].as_py() or "unknown"
        found = []
        said = error_tags(one).get(run_id)
        if said:
            found.append(LogTail(label, status, "what a tag says", *last_lines(said, lines)))
        place, files, _ = self._artifact_files(one)
        logs = sorted((file for file in files if looks_like_log(file.path)), key=lambda file: log_rank(file.path))
        for file in logs[:_LOGS_OF_A_RUN]:
            text, note = _read_log(place, file)
            shown, total = last_lines(text, lines)
            found.append(LogTail(label, status, file.path, shown, total, note or ("" if shown else "empty")))
        return found

    def _named(self, run_ids: Sequence[str], most: int = 4) -> str:
        names = ", ".join(self._labels[run_id] for run_id in run_ids[:most])
        return names + (f" and {len(run_ids) - most:,} more" if len(run_ids) > most else "")


def _read_log(place: ArtifactPlace, file: ArtifactFile) -> tuple[str, str]:
    """The text of a log, or why it is not shown."""
    if file.size is not None and file.size > _LOG_BYTES:
        return "", f"{file.size / 1e6:,.0f} MB: too large to look for its end"
    try:
        data = place.read_bytes(file.path, _LOG_BYTES)
    except QualiaLabError as error:
        return "", str(error)
    if preview_kind(file.path, data[:4096]) not in ("text", "markdown", "json", "table", "html"):
        return "", "not text" if data else "empty"
    return data.decode("utf-8", "replace"), ""


def _first_bad(one: History, diverges: bool) -> int:
    """The step at which a history went bad."""
    steps = [one.odd_step] if one.nan + one.infinite else []
    return min([*steps, one.bad_step] if diverges else steps)


def _went(key: str, one: History, *, diverges: bool) -> str:
    how = "diverges from" if diverges else "not finite at"
    return f"{one_line(key, 60)} {how} step {_first_bad(one, diverges):,}"


def _silence(heard: int | None) -> str:
    """`, silent for 3.2 h`, counted from a moment in ms."""
    minutes = (time.time() * 1000 - heard) / 60_000 if heard is not None else -1
    if minutes < 0:
        return ""
    return f", silent for {minutes:,.0f} min" if minutes < 120 else f", silent for {minutes / 60:,.1f} h"


def _seconds(row: dict[str, Any]) -> float | None:
    start, end = row["start_time"], row["end_time"]
    return None if start is None or end is None or end < start else _rounded((end - start) / 1000)


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
