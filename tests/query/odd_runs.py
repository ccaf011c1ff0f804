"""Runs with every odd value a filter can meet, and filters about them."""

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
# Of these every order of summing gives the same mean.
SUMMABLE = [0.0, -1.5, 0.25, 3.0, float("nan"), float("inf"), float("-inf")]
# When the points of a metric are recorded, as (step, ms): some at the same step, some at the same moment.
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
# What of a database a filter can ask about.
TABLES = (
    *("experiments", "runs", "params", "tags", "metrics", "latest_metrics"),
    *("datasets", "inputs", "input_tags"),
)
STATUSES = ["FINISHED", "FAILED", "RUNNING", "KILLED"]


def write_odd_runs(tracking_uri: str, count: int = 40) -> None:
    """Fill an empty store through MLflow's client, the same way every time."""
    client, chance = new_client(tracking_uri), random.Random(7)
    experiments = [client.create_experiment(name, artifact_location="file:///nowhere") for name in ("odd", "Ödd %_")]
    parent = None
    for _ in range(count):
        start = START + chance.choice([0, 1000, 5000, 61_000])
        name, tags = chance.choice(NAMES), {"mlflow.user": chance.choice(["ann", "Ann"])}
        if parent is not None and chance.random() < 0.3:
            tags["mlflow.parentRunId"] = parent
        run = client.create_run(chance.choice(experiments), start, tags, name)
        parent = run.info.run_id
        client.log_batch(
            run.info.run_id,
            metrics=[
                Metric(key, chance.choice(SUMMABLE if key == "K" else METRICS), START + ms, step)
                for key in STORED_KEYS
                for step, ms in POINTS[: chance.choice([0, 1, 1, 2, 6])]
            ],
            params=[Param(key, chance.choice(TEXTS)) for key in STORED_KEYS if chance.random() < 0.8],
            tags=[RunTag(key, chance.choice(TEXTS)) for key in STORED_KEYS if chance.random() < 0.8],
        )
        for _ in range(chance.choice([0, 0, 1, 2])):
            dataset = Dataset(chance.choice(["train", "Train", "te%st"]), chance.choice(["d1", "d2"]), "local", "{}")
            context = chance.choice([[], [InputTag("mlflow.data.context", chance.choice(["eval", "training"]))]])
            client.log_inputs(run.info.run_id, [DatasetInput(dataset, context)])
        status = chance.choice(STATUSES)
        if status != "RUNNING":
            client.set_terminated(run.info.run_id, status, start + chance.choice([0, 70, 1234, 90_000]))


def copy_rows(source: sa.Engine, target: sa.Engine, names: tuple[str, ...]) -> None:
    """Copy these tables, with neutral types and no constraint."""
    found, made = sa.MetaData(), sa.MetaData()
    for name in names:
        table = sa.Table(name, found, autoload_with=source, resolve_fks=False)
        columns = [sa.Column(one.name, _neutral(one.type)) for one in table.columns]
        sa.Table(name, made, *columns)
    made.create_all(target)
    with source.connect() as reading, target.begin() as writing:
        for table in made.sorted_tables:
            rows = [dict(row._mapping) for row in reading.execute(sa.select(found.tables[table.name]))]
            if rows:
                writing.execute(table.insert(), rows)


def _neutral(kind: sa.types.TypeEngine) -> sa.types.TypeEngine:
    return sa.Double() if isinstance(kind, sa.Float) else kind.as_generic()


def as_the_same_files(folder: Path, names_of: dict[str, str], experiments_of: dict[str, str]) -> None:
    """Rename the runs and experiments of an mlruns folder, and leave out points that it holds twice.

    names_of: the run ids to have by those that are there; experiments_of: the same of experiments.
    """
    new = {**names_of, **experiments_of}
    old_ids = re.compile("|".join(map(re.escape, sorted(new, key=len, reverse=True))).encode())
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        content = path.read_bytes()
        if path.parent.name == "metrics" or path.parent.parent.name == "metrics":  # a database keeps a point once
            path.write_bytes(b"".join(dict.fromkeys(content.splitlines(keepends=True))))
        elif path.name == "meta.yaml" or path.name == "mlflow.parentRunId":
            path.write_bytes(old_ids.sub(lambda found: new[found.group().decode()].encode(), content))
    for path in sorted(folder.rglob("*"), key=lambda path: -len(path.parts)):
        if path.is_dir() and path.name in new:
            path.rename(path.with_name(new[path.name]))


# Filters, as text.

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
_say = "{} {} {}".format
_attributes = st.sampled_from(["run_name", "status", "attributes.user_id", "artifact_uri", "run.status"])
_times = st.sampled_from(["start_time", "end_time", "created"])
_dataset = st.sampled_from(["datasets.name", "datasets.digest", "dataset.context"])

MLFLOW_COMPARISONS = st.one_of(
    st.builds(_say, _key("metrics", "metric"), _compare, _number),
    st.builds(_say, _key("params", "tags", "parameter"), _equal, _text()),
    st.builds(_say, _key("params", "tags"), _like, _pattern),
    st.builds("{} {}".format, _key("params", "tags"), _null),
    st.builds(_say, _attributes, _equal | _like, _attribute_text),
    st.builds(_say, _times, _compare, _moment),
    st.builds(_say, _dataset, _equal | _like, _dataset_text),
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
    st.builds(_say, STATISTICS, _compare, _number),
    st.builds("{} {}".format, STATISTICS, _null),
    st.builds("{} NOT IN ({}, 2)".format, STATISTICS, _number),
    st.builds("{} BETWEEN {} AND {}".format, STATISTICS, _number, _number),
)

_ours = st.one_of(
    _statistic_comparisons,
    MLFLOW_COMPARISONS,
    st.builds(_say, _key("params", "tags"), _compare, _number | st.sampled_from(["1", "2", "0.001", "-0.5"])),
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
OUR_FILTERS = st.recursive(
    _ours,
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
OUR_ORDERS = st.lists(
    st.builds(
        "{} {}".format,
        _mlflow_field | STATISTICS | st.sampled_from(["duration", "experiment.name", "parent_run_id"]),
        _direction,
    ),
    max_size=2,
)
