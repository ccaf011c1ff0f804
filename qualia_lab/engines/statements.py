"""The SQL of all aggregates, in the common dialect of DuckDB and Spark, with the columns of each result.

The common dialect: no quoted names, `percentile_cont`, `min_by` over tuples, `FILTER`, no division by zero. `{runs}`
and the like are views over the files of a snapshot, `{chosen}` the selected runs. Values of a store are arguments
(`:metric`) and never part of the text.

Special values: NULL is NaN; from 1.79e308 on a value is infinite, which is how MLflow's databases store infinity. NaN
and infinite values are counted and excluded from every other statistic. Quartiles are interpolated linearly (Hyndman
and Fan's type 7).
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from qualia_lab.analysis.histories import INFINITE_FROM
from qualia_lab.query.statistics import HUGE, SCALE
from qualia_lab.schema import FLOAT, INT, STRING

# The statistics of a metric's history that runs can be ranked by.
STATISTICS = ("last", "first", "lowest", "highest", "mean")


@dataclass(frozen=True)
class Statement:
    """One aggregate: the template of its SQL, and the columns of its result."""

    sql: str
    columns: pa.Schema


def _real(value: str) -> str:
    """SQL for a recorded value as a double: NaN for NULL, infinite for MLflow's substitute of infinity."""
    return (
        f"(CASE WHEN {value} IS NULL OR isnan({value}) THEN CAST('NaN' AS DOUBLE)"
        f" WHEN {value} >= {INFINITE_FROM!r} THEN CAST('Infinity' AS DOUBLE)"
        f" WHEN {value} <= -{INFINITE_FROM!r} THEN CAST('-Infinity' AS DOUBLE) ELSE {value} END)"
    )


def _finite(value: str) -> str:
    """SQL for the value if it is finite, otherwise NULL."""
    return f"(CASE WHEN isnan({value}) OR abs({value}) >= {INFINITE_FROM!r} THEN NULL ELSE {value} END)"


def _mean(finite: str) -> str:
    """SQL for the mean of the values that are not NULL. Huge values are summed separately and scaled: no overflow."""
    is_huge = f"abs({finite}) >= {HUGE!r}"
    count = f"nullif(count({finite}), 0)"
    plain = f"sum(CASE WHEN {is_huge} THEN 0e0 ELSE {finite} END) / {count}"
    huge = f"sum(CASE WHEN {is_huge} THEN {finite} * {SCALE!r} ELSE 0e0 END) / {count} / {SCALE!r}"
    return f"({plain} + {huge})"


def _quantile(share: str, finite: str) -> str:
    """SQL for a linearly interpolated quantile; of values / 4, because the difference of huge values could overflow."""
    return f"percentile_cont({share}) WITHIN GROUP (ORDER BY {finite} * 0.25e0) * 4e0"


def _spread(finite: str) -> str:
    """SQL for the count, extremes, mean and quartiles of the values that are not NULL."""
    return (
        f"count({finite}) AS n, min({finite}) AS lowest, {_quantile('0.25', finite)} AS q1,"
        f" {_quantile('0.5', finite)} AS median, {_quantile('0.75', finite)} AS q3, max({finite}) AS highest,"
        f" {_mean(finite)} AS mean"
    )


_SPREAD = {name: INT if name == "n" else FLOAT for name in ("n", "lowest", "q1", "median", "q3", "highest", "mean")}

# The latest value of one metric for each run: `value` as recorded, `number` if it is finite.
_LATEST = (
    f"SELECT m.run_id, {_real('m.value')} AS value, {_finite('m.value')} AS number"
    " FROM {metrics} m JOIN {chosen} c ON c.run_id = m.run_id WHERE m.key = :metric"
)

EXPERIMENTS = Statement(
    """
    SELECT e.experiment_id, min(e.name) AS name, count(c.run_id) AS runs,
      max(greatest(c.start_time, c.end_time)) AS last_activity
    FROM {experiments} e JOIN {chosen} c ON c.experiment_id = e.experiment_id
    GROUP BY e.experiment_id ORDER BY last_activity DESC NULLS LAST, experiment_id""",
    pa.schema({"experiment_id": STRING, "name": STRING, "runs": INT, "last_activity": INT}),
)

STATUSES = Statement(
    """
    SELECT coalesce(status, 'UNKNOWN') AS status, count(*) AS runs, min(start_time) AS first_start,
      max(start_time) AS last_start
    FROM {chosen} GROUP BY coalesce(status, 'UNKNOWN') ORDER BY runs DESC, status""",
    pa.schema({"status": STRING, "runs": INT, "first_start": INT, "last_start": INT}),
)

PARAMS = Statement(
    """
    SELECT p.key, count(*) AS runs, count(DISTINCT p.value) AS different
    FROM {params} p JOIN {chosen} c ON c.run_id = p.run_id GROUP BY p.key ORDER BY p.key""",
    pa.schema({"key": STRING, "runs": INT, "different": INT}),
)

# The latest values by metric: the number of runs that have one, and the distribution of the finite values.
LATEST = Statement(
    f"""
    SELECT key, count(*) AS runs, count(DISTINCT value) AS different, max(step) AS last_step,
      count(CASE WHEN step <> 0 THEN 1 END) AS stepped, {_spread("number")}
    FROM (SELECT m.key, m.step, {_real("m.value")} AS value, {_finite("m.value")} AS number
      FROM {{metrics}} m JOIN {{chosen}} c ON c.run_id = m.run_id) latest
    GROUP BY key ORDER BY key""",
    pa.schema({"key": STRING, "runs": INT, "different": INT, "last_step": INT, "stepped": INT, **_SPREAD}),
)

# The number of points by metric. There is no join with the runs if all runs are selected.
POINTS = Statement(
    f"""
    SELECT h.key, count(*) AS points, count(*) - count({_finite("h.value")}) AS not_finite
    FROM {{history}} h {{if_chosen}} GROUP BY h.key ORDER BY h.key""",
    pa.schema({"key": STRING, "points": INT, "not_finite": INT}),
)
IF_CHOSEN = "JOIN {chosen} c ON c.run_id = h.run_id"

_STATISTICS = f"""
    WITH latest AS ({_LATEST}),
    points AS (SELECT h.run_id, h.step, h.timestamp, {_real("h.value")} AS value, {_finite("h.value")} AS number
      FROM {{history}} h {{if_chosen}} WHERE h.key = :metric),
    summed AS (SELECT run_id, count(*) AS points, count(*) - count(number) AS not_finite,
        min_by(value, (step, timestamp, value)) AS first, min(number) AS lowest, max(number) AS highest,
        min_by(step, (number, step)) FILTER (WHERE number IS NOT NULL) AS lowest_step,
        min_by(step, (-number, step)) FILTER (WHERE number IS NOT NULL) AS highest_step, {_mean("number")} AS mean
      FROM points GROUP BY run_id)
    SELECT latest.run_id, coalesce(points, 0) AS points, coalesce(not_finite, 0) AS not_finite, first,
      latest.value AS last, lowest, lowest_step, highest, highest_step, mean
    FROM latest LEFT JOIN summed ON summed.run_id = latest.run_id"""
_STATISTICS_COLUMNS = {
    "run_id": STRING,
    "points": INT,
    "not_finite": INT,
    "first": FLOAT,
    "last": FLOAT,
    "lowest": FLOAT,
    "lowest_step": INT,
    "highest": FLOAT,
    "highest_step": INT,
    "mean": FLOAT,
}
METRIC_STATISTICS = Statement(f"{_STATISTICS} ORDER BY latest.run_id", pa.schema(_STATISTICS_COLUMNS))


def top_runs(statistic: str, *, greater_is_better: bool) -> Statement:
    """The `:most` best runs by a statistic of a metric; runs without a finite value come last."""
    order = f"{_finite(f's.{statistic}')} {'DESC' if greater_is_better else 'ASC'} NULLS LAST, s.run_id"
    columns = ", ".join(f"s.{name}" for name in _STATISTICS_COLUMNS if name != "run_id")
    return Statement(
        f"""
    SELECT s.run_id, c.run_name, c.experiment_id, c.status, c.start_time, {columns}
    FROM ({_STATISTICS}) s JOIN {{chosen}} c ON c.run_id = s.run_id ORDER BY {order} LIMIT :most""",
        pa.schema(
            {
                "run_id": STRING,
                "run_name": STRING,
                "experiment_id": STRING,
                "status": STRING,
                "start_time": INT,
                **{name: kind for name, kind in _STATISTICS_COLUMNS.items() if name != "run_id"},
            }
        ),
    )


# The latest values of a metric for each of the `:most` most frequent values of a param, as logged.
PARAM_VALUES = Statement(
    f"""
    WITH latest AS ({_LATEST})
    SELECT p.value, count(*) AS runs, {_spread("latest.number")}
    FROM {{params}} p JOIN latest ON latest.run_id = p.run_id WHERE p.key = :param
    GROUP BY p.value ORDER BY runs DESC, p.value LIMIT :most""",
    pa.schema({"value": STRING, "runs": INT, **_SPREAD}),
)

# The same for a numeric param, in `:ranges` ranges with equally many runs each. A value counts as a number only if both
# engines parse it to the same one: digits, a decimal point, an exponent.
PARAM_RANGES = Statement(
    f"""
    WITH latest AS ({_LATEST}),
    numbers AS (SELECT latest.run_id, latest.number, try_cast(p.value AS DOUBLE) AS param
      FROM {{params}} p JOIN latest ON latest.run_id = p.run_id
      WHERE p.key = :param AND translate(p.value, '0123456789.eE+-', '') = ''),
    ranged AS (SELECT param, number, ntile(:ranges) OVER (ORDER BY param, run_id) AS place
      FROM numbers WHERE {_finite("param")} IS NOT NULL)
    SELECT place, min(param) AS first_param, max(param) AS last_param, count(*) AS runs, {_spread("number")}
    FROM ranged GROUP BY place ORDER BY place""",
    pa.schema({"place": INT, "first_param": FLOAT, "last_param": FLOAT, "runs": INT, **_SPREAD}),
)

# A metric along its steps, in `:buckets` equal ranges of steps: the mean of each run, then their distribution.
_BANDS = f"""
    WITH points AS (SELECT h.run_id, h.step, {_finite("h.value")} AS number
      FROM {{history}} h {{if_chosen}} WHERE h.key = :metric),
    span AS (SELECT min(step) AS low, max(step) AS high FROM points),
    placed AS (SELECT run_id, step, number, CAST(floor((CAST(step AS DOUBLE) - CAST(low AS DOUBLE)) * :buckets
        / (CAST(high AS DOUBLE) - CAST(low AS DOUBLE) + 1e0)) AS BIGINT) AS place FROM points CROSS JOIN span),
    of_runs AS (SELECT run_id, place, min(step) AS first_step, max(step) AS last_step, count(*) AS points,
        count(*) - count(number) AS not_finite, {_mean("number")} AS number FROM placed GROUP BY run_id, place)"""
_BAND_COLUMNS = {"first_step": INT, "last_step": INT, "points": INT, "not_finite": INT, **_SPREAD}
_BAND = (
    "min(first_step) AS first_step, max(last_step) AS last_step, sum(points) AS points,"
    f" sum(not_finite) AS not_finite, {_spread('number')}"
)
BAND = Statement(
    f"{_BANDS} SELECT {_BAND} FROM of_runs GROUP BY place ORDER BY place",
    pa.schema(_BAND_COLUMNS),
)

# The same for the runs of each of the `:most` most frequent values of a param.
BANDS_BY_PARAM = Statement(
    f"""{_BANDS},
    grouped AS (SELECT p.run_id, p.value FROM {{params}} p JOIN (SELECT DISTINCT run_id FROM points) r
      ON r.run_id = p.run_id WHERE p.key = :param),
    frequent AS (SELECT value, count(*) AS runs FROM grouped GROUP BY value ORDER BY runs DESC, value LIMIT :most)
    SELECT f.value, max(f.runs) AS runs, {_BAND}
    FROM of_runs JOIN grouped g ON g.run_id = of_runs.run_id JOIN frequent f ON f.value = g.value
    GROUP BY f.value, place ORDER BY runs DESC, f.value, place""",
    pa.schema({"value": STRING, "runs": INT, **_BAND_COLUMNS}),
)


def best_so_far(*, greater_is_better: bool) -> Statement:
    """The runs that were better than all that started before them, by the latest value of a metric."""
    best, better = ("max", ">") if greater_is_better else ("min", "<")
    return Statement(
        f"""
    WITH latest AS ({_LATEST}),
    started AS (SELECT c.run_id, c.run_name, c.start_time, latest.number AS value,
        row_number() OVER (ORDER BY c.start_time, c.run_id) AS place,
        {best}(latest.number) OVER (ORDER BY c.start_time, c.run_id
          ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
      FROM latest JOIN {{chosen}} c ON c.run_id = latest.run_id WHERE c.start_time IS NOT NULL)
    SELECT place, run_id, run_name, start_time, value FROM started
    WHERE value IS NOT NULL AND (before IS NULL OR value {better} before) ORDER BY place""",
        pa.schema({"place": INT, "run_id": STRING, "run_name": STRING, "start_time": INT, "value": FLOAT}),
    )


# One run of each experiment.
RUN_OF_EACH_EXPERIMENT = Statement(
    "SELECT min(run_id) AS run_id FROM {chosen} GROUP BY experiment_id ORDER BY run_id",
    pa.schema({"run_id": STRING}),
)

PARAMS_OF = Statement(
    "SELECT p.run_id, p.key, p.value FROM {params} p JOIN {requested} a ON a.run_id = p.run_id"
    " ORDER BY p.run_id, p.key",
    pa.schema({"run_id": STRING, "key": STRING, "value": STRING}),
)
