"""Runs with unusual values of every kind, and Hypothesis strategies for filters and orders about them."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING

import sqlalchemy as sa
from hypothesis import strategies as st
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag

from tests.stores.empty import new_client

if TYPE_CHECKING:
    from pathlib import Path

START = 1_760_000_000_000
NUMBERS = [0.0, -1.5, 0.1, 0.25, 1e-12, 3.0, 1.797e308, 1.7976931348623157e308, -1.7976931348623157e308]
METRICS = [*NUMBERS, float("nan"), float("inf"), float("-inf")]
# Values whose mean does not depend on the order of summation.
SUMMABLE = [0.0, -1.5, 0.25, 3.0, float("nan"), float("inf"), float("-inf")]
# The (step, ms) of the points of a metric: some share a step, some share a time.
POINTS = [(0, 0), (1, 1), (2, 2), (1, 1), (1, 3), (-3, 4)]
TEXTS = [
    *(
        "0.1",
        "1e-3",
        "10",
        "2",
        "1.",
        "-.5",
        "+3",
        "1E2",
        "1e999",
        "nan",
        "inf",
        " 1",
        "1_0",
        "0x1",
        "1e",
        ".",
        "2026-1-1",
    ),
    *("", "abc", "ABC", "aBc", "abc ", "a_b", "a%b", "it's", 'say "x"', "a\nb", "10\n", "a\\", "a\\b", "a''b"),
    *("Éa", "éa", "🐙", "ß", "[a]", "a*", "a?"),
]
STORED_KEYS = ["k", "K", "a b", "val/acc", "über", "x.y-z"]
KEYS = [*STORED_KEYS, "absent", 'q"q', "it's"]
NAMES = ["first", "First", "sec_ond", "été"]
# The database tables that a filter can refer to.
TABLES = (
    *("experiments", "runs", "params", "tags", "metrics", "latest_metrics"),
    *("datasets", "inputs", "input_tags"),
)
STATUSES = ["FINISHED", "FAILED", "RUNNING", "KILLED"]


def write_odd_runs(tracking_uri: str, count: int = 40) -> None:
    """Fill an empty store through MLflow's client, deterministically."""
    client, rng = new_client(tracking_uri), random.Random(7)
    experiments = [client.create_experiment(name, artifact_location="file:///nowhere") for name in ("odd", "Ödd %_")]
    parent = None
    for _ in range(count):
        start = START + rng.choice([0, 1000, 5000, 61_000])
        name, tags = rng.choice(NAMES), {"mlflow.user": rng.choice(["ann", "Ann"])}
        if parent is not None and rng.random() < 0.3:
            tags["mlflow.parentRunId"] = parent
        run = client.create_run(rng.choice(experiments), start, tags, name)
        parent = run.info.run_id
        client.log_batch(
            run.info.run_id,
            metrics=[
                Metric(key, rng.choice(SUMMABLE if key == "K" else METRICS), START + ms, step)
                for key in STORED_KEYS
                for step, ms in POINTS[: rng.choice([0, 1, 1, 2, 6])]
            ],
            params=[Param(key, rng.choice(TEXTS)) for key in STORED_KEYS if rng.random() < 0.8],
            tags=[RunTag(key, rng.choice(TEXTS)) for key in STORED_KEYS if rng.random() < 0.8],
        )
        for _ in range(rng.choice([0, 0, 1, 2])):
            dataset = Dataset(rng.choice(["train", "Train", "te%st"]), rng.choice(["d1", "d2"]), "local", "{}")
            context = rng.choice([[], [InputTag("mlflow.data.context", rng.choice(["eval", "training"]))]])
            client.log_inputs(run.info.run_id, [DatasetInput(dataset, context)])
        status = rng.choice(STATUSES)
        if status != "RUNNING":
            client.set_terminated(run.info.run_id, status, start + rng.choice([0, 70, 1234, 90_000]))


def copy_rows(source: sa.Engine, target: sa.Engine, names: tuple[str, ...]) -> None:
    """Copy these tables with generic types and without constraints."""
    source_tables, target_tables = sa.MetaData(), sa.MetaData()
    for name in names:
        table = sa.Table(name, source_tables, autoload_with=source, resolve_fks=False)
        columns = [sa.Column(source_column.name, _neutral(source_column.type)) for source_column in table.columns]
        sa.Table(name, target_tables, *columns)
    target_tables.create_all(target)
    with source.connect() as reading, target.begin() as writing:
        for table in target_tables.sorted_tables:
            rows = [dict(row._mapping) for row in reading.execute(sa.select(source_tables.tables[table.name]))]
            if rows:
                writing.execute(table.insert(), rows)


def _neutral(kind: sa.types.TypeEngine) -> sa.types.TypeEngine:
    return sa.Double() if isinstance(kind, sa.Float) else kind.as_generic()


def replace_ids(folder: Path, run_ids: dict[str, str], experiment_ids: dict[str, str]) -> None:
    """Rename the runs and experiments of an mlruns folder, and remove duplicate points.

    run_ids: old run id -> new run id; experiment_ids: the same for experiments.
    """
    new_ids = {**run_ids, **experiment_ids}
    old_ids = re.compile("|".join(map(re.escape, sorted(new_ids, key=len, reverse=True))).encode())
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        content = path.read_bytes()
        if path.parent.name == "metrics" or path.parent.parent.name == "metrics":  # a database stores a point once
            path.write_bytes(b"".join(dict.fromkeys(content.splitlines(keepends=True))))
        elif path.name == "meta.yaml" or path.name == "mlflow.parentRunId":
            path.write_bytes(old_ids.sub(lambda match: new_ids[match.group().decode()].encode(), content))
    for path in sorted(folder.rglob("*"), key=lambda path: -len(path.parts)):
        if path.is_dir() and path.name in new_ids:
            path.rename(path.with_name(new_ids[path.name]))


# Strategies for filters, as text.

_number = st.sampled_from([repr(value).replace("e+", "e") for value in NUMBERS])
_moment = st.sampled_from([START, START + 70, START + 1000, START + 1234, START + 5000]).map(str)
_compare = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])


def _quote(text: str) -> str:
    return f'"{text}"' if "'" in text else f"'{text}'"


def _text(*more: str) -> st.SearchStrategy[str]:
    texts = [
        text for text in (*TEXTS, *more) if text != "a\\"
    ]  # MLflow cannot end a string with a backslash mid-filter
    return st.sampled_from(texts).map(_quote)


def _key(*kinds: str) -> st.SearchStrategy[str]:
    return st.builds("{}.`{}`".format, st.sampled_from(kinds), st.sampled_from(KEYS))


_pattern = st.one_of(
    _text(),
    st.sampled_from(
        ["%", "a%", "%b", "%B%", "_", "a_b", "%a%b%", "__", "É%", "é_", "%\\%", "A*", "%[a]%", "", "1%", "%'%"]
    ).map(_quote),
)
_texts = st.lists(_text(), min_size=1, max_size=3).map(", ".join)
_attribute_text = st.sampled_from([*NAMES, *STATUSES, "ann", "file:///nowhere/%", "sec%", "f%"]).map(_quote)
_dataset_text = st.sampled_from(["train", "Train", "te%st", "t%", "d1", "eval", "x"]).map(_quote)
_like = st.sampled_from(["LIKE", "ILIKE", "like"])
_equal = st.sampled_from(["=", "!="])
_null = st.sampled_from(["IS NULL", "IS NOT NULL"])
_comparison = "{} {} {}".format
_attributes = st.sampled_from(["run_name", "status", "attributes.user_id", "artifact_uri", "run.status"])
_times = st.sampled_from(["start_time", "end_time", "created"])
_dataset = st.sampled_from(["datasets.name", "datasets.digest", "dataset.context"])

MLFLOW_COMPARISONS = st.one_of(
    st.builds(_comparison, _key("metrics", "metric"), _compare, _number),
    st.builds(_comparison, _key("params", "tags", "parameter"), _equal, _text()),
    st.builds(_comparison, _key("params", "tags"), _like, _pattern),
    st.builds("{} {}".format, _key("params", "tags"), _null),
    st.builds(_comparison, _attributes, _equal | _like, _attribute_text),
    st.builds(_comparison, _times, _compare, _moment),
    st.builds(_comparison, _dataset, _equal | _like, _dataset_text),
    st.builds("{} {} ({}, 'x')".format, _dataset, st.sampled_from(["IN", "NOT IN"]), _dataset_text),
)
MLFLOW_FILTERS = st.lists(MLFLOW_COMPARISONS, min_size=1, max_size=3).map(" AND ".join)

_stored_metric = st.sampled_from(STORED_KEYS).map("metrics.`{}`".format)
STATISTICS = st.one_of(
    st.builds(
        "{}.{}".format,
        _stored_metric,
        st.sampled_from(["min", "max", "first", "last", "at(0)", "at(1)", "at( -3 )", "at(9)"]),
    ),
    st.just("metrics.K.mean"),
)
_statistic_comparisons = st.one_of(
    st.builds(_comparison, STATISTICS, _compare, _number),
    st.builds("{} {}".format, STATISTICS, _null),
    st.builds("{} NOT IN ({}, 2)".format, STATISTICS, _number),
    st.builds("{} BETWEEN {} AND {}".format, STATISTICS, _number, _number),
)

_extended_comparisons = st.one_of(
    _statistic_comparisons,
    MLFLOW_COMPARISONS,
    st.builds(_comparison, _key("params", "tags"), _compare, _number | st.sampled_from(["1", "2", "0.001", "-0.5"])),
    st.builds("{} IN ({}, 2, 1.7976931348623157e308)".format, _key("params", "metrics"), _number),
    st.builds("{} NOT IN ({}, 2)".format, _key("params", "metrics"), _number),
    st.builds("{} BETWEEN {} AND {}".format, _key("metrics", "params"), _number, _number),
    st.builds("{} NOT BETWEEN {} AND {}".format, _key("metrics", "params"), _number, _number),
    st.builds("{} {} ({})".format, _key("params", "tags"), st.sampled_from(["IN", "NOT IN"]), _texts),
    st.builds("{} NOT {} {}".format, _key("params", "tags"), st.sampled_from(["LIKE", "ILIKE"]), _pattern),
    st.builds("{} NOT LIKE {}".format, _dataset | _attributes, _dataset_text | _attribute_text),
    st.builds("{} {}".format, _key("metrics") | _attributes | _times | _dataset | st.just("parent_run_id"), _null),
    st.builds("duration {} {}".format, _compare, st.sampled_from(["0", "0.07", "1.234", "90", "1.5 minutes"])),
    st.builds("{} IN ({}, {})".format, _times, _moment, _moment),
    st.builds(
        "experiment.name {} {}".format, _equal | _like, st.sampled_from(["'odd'", "'ODD'", "'_dd \\%%'", "'%d %'"])
    ),
    st.builds("experiment_id {} '1'".format, _equal),
)
EXTENDED_FILTERS = st.recursive(
    _extended_comparisons,
    lambda inner: st.one_of(
        st.builds("({} OR {})".format, inner, inner),
        st.builds("({} AND {})".format, inner, inner),
        st.builds("NOT {}".format, inner),
    ),
    max_leaves=4,
)

_sortable_key = st.builds(
    "{}.`{}`".format, st.sampled_from(["metrics", "params", "tags"]), st.sampled_from(STORED_KEYS)
)
_mlflow_field = _sortable_key | st.sampled_from(["start_time", "end_time", "run_name", "status", "run_id"])
_direction = st.sampled_from(["ASC", "DESC"])
MLFLOW_ORDERS = st.lists(
    st.builds("{} {}".format, _mlflow_field, _direction),
    max_size=2,
    unique_by=lambda order: order.rpartition(" ")[0],
)
EXTENDED_ORDERS = st.lists(
    st.builds(
        "{} {}".format,
        _mlflow_field | STATISTICS | st.sampled_from(["duration", "experiment.name", "parent_run_id"]),
        _direction,
    ),
    max_size=2,
)
