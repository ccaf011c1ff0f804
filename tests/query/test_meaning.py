"""Equivalence of all evaluators: MLflow's client, SQL on three databases, evaluation on tables, filters for servers."""

from __future__ import annotations

import time

import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from mlflow.utils.search_utils import SearchUtils

from qualia_lab import schema
from qualia_lab.query import order_to_mlflow, parse_filter, parse_order_by, select_runs, to_mlflow
from qualia_lab.query.conditions import And
from qualia_lab.selection import Query
from qualia_lab.stores.sql.query import select_matching
from qualia_lab.tables import run_tables, table_of
from tests import servers
from tests.conftest import running
from tests.query.conftest import QUERIES
from tests.query.odd_runs import EXTENDED_FILTERS, EXTENDED_ORDERS, MLFLOW_FILTERS, MLFLOW_ORDERS, TABLES, copy_rows


def columns_of(engine: sa.Engine) -> frozenset[str]:
    inspector = sa.inspect(engine)
    names = inspector.get_table_names()
    return frozenset(
        [*names, *(f"{name}.{column['name']}" for name in names for column in inspector.get_columns(name))]
    )


def in_sql(engine: sa.Engine, has: frozenset[str], query: Query) -> list[str]:
    select = select_matching(query, dialect_name=engine.dialect.name, has=has, only_ids=True)
    with engine.connect() as connection:
        return list(connection.execute(select).scalars())


def in_tables(odd, text: str, order_by: list[str]) -> list[str]:
    return select_runs(parse_filter(text), parse_order_by(order_by), odd.tables, odd.read_history)


def test_mlflow_filters_match_what_mlflow_returns(odd):
    """MLflow's client, evaluation on tables and SQL return the same runs in order for filters of MLflow's grammar."""
    has, seen, results = columns_of(odd.engine), set(), set()

    @settings(settings.get_profile("meaning"))
    @given(MLFLOW_FILTERS, MLFLOW_ORDERS)
    def compare(text, order_by):
        expected = odd.search(text, order_by)
        assert in_tables(odd, text, order_by) == expected
        assert in_sql(odd.engine, has, Query(filter=text, order_by=tuple(order_by))) == expected
        seen.add(text)
        results.add(tuple(expected))

    compare()
    assert len(seen) > QUERIES * 2 / 3
    assert len(results) > QUERIES / 6


def test_run_id_filters_match_what_mlflow_returns(odd):
    first, second, *_ = all_ids = odd.search("")
    unknown_id = "f" * 32
    for text in (
        f"run_id = '{first}'",
        f"attributes.run_id != '{first}'",
        f"run_id IN ('{second}', '{first}', '{unknown_id}')",
        f"attribute.run_id NOT IN ('{second}', '{first}')",
        f"run_id LIKE '{first[:5]}%' AND status != 'X'",
    ):
        expected = odd.search(text)
        assert in_tables(odd, text, []) == in_sql(odd.engine, columns_of(odd.engine), Query(filter=text)) == expected
        assert 0 < len(expected) < len(all_ids)


def test_the_filter_sent_to_a_server_excludes_no_matching_run(odd):
    """The filter that is sent, then the rest evaluated locally, give the same runs as the whole condition."""
    sent_filters = set()

    @settings(settings.get_profile("meaning"))
    @given(EXTENDED_FILTERS | MLFLOW_FILTERS, EXTENDED_ORDERS)
    def compare(text, order_by):
        sent, rest = to_mlflow(parse_filter(text))
        orders = parse_order_by(order_by)
        order_sent = order_to_mlflow(orders)
        returned = odd.search(sent, order_sent)
        returned_ids = set(returned)
        expected = in_tables(odd, text, order_by)
        rest_ids = select_runs(rest, orders, odd.tables, odd.read_history)
        assert [run_id for run_id in rest_ids if run_id in returned_ids] == expected
        if rest is None and order_sent is not None:
            assert returned == expected
        sent_filters.add(sent)

    compare()
    assert len(sent_filters) > QUERIES / 5


def test_the_filter_sent_to_a_server_parses_to_the_same_conditions():
    @settings(settings.get_profile("meaning"))
    @given(MLFLOW_FILTERS)
    def compare(text):
        sent, _ = to_mlflow(parse_filter(text))
        reparsed = parse_filter(sent)
        whole = parse_filter(text)
        parts = whole.parts if isinstance(whole, And) else (whole,)
        assert reparsed is None or set(reparsed.parts if isinstance(reparsed, And) else (reparsed,)) <= set(parts)
        for clause in SearchUtils.parse_search_filter(sent):
            assert any(clause["key"] == part.field.key for part in parts)

    compare()


def test_extended_filters_match_in_sqlite_and_in_memory(odd):
    has = columns_of(odd.engine)

    @settings(settings.get_profile("meaning"))
    @given(EXTENDED_FILTERS, EXTENDED_ORDERS)
    def compare(text, order_by):
        query = Query(filter=text, order_by=tuple(order_by))
        assert in_sql(odd.engine, has, query) == in_tables(odd, text, order_by)

    compare()


@pytest.mark.parametrize("server", [servers.system_postgresql, servers.mariadb], ids=["postgresql", "mariadb"])
def test_filters_match_in_other_databases_and_in_memory(server, odd):
    with running(server()) as uri:
        engine = sa.create_engine(uri)
        try:
            copy_rows(odd.engine, engine, TABLES)
            has = columns_of(engine)

            @settings(settings.get_profile("meaning"))
            @given(MLFLOW_FILTERS | EXTENDED_FILTERS, EXTENDED_ORDERS)
            def compare(text, order_by):
                query = Query(filter=text, order_by=tuple(order_by))
                assert in_sql(engine, has, query) == in_tables(odd, text, order_by)

            compare()
        finally:
            engine.dispose()


@pytest.mark.parametrize("lost", [{"latest_metrics"}, {"latest_metrics", "inputs", "datasets", "input_tags"}])
def test_filters_work_on_old_database_schemas(lost, odd, tmp_path):
    """Without the table latest_metrics, the latest value is computed from all points."""
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'old.db'}")
    copy_rows(odd.engine, engine, tuple(name for name in TABLES if name not in lost))
    has = columns_of(engine)
    for key in ("k", "val/acc", "absent"):
        for text in (f"metrics.{key} >= 0.1", f"metrics.{key} != 0", f"metrics.{key} IS NULL", "params.k = 'abc'"):
            for order in (f"metrics.{key} DESC", f"metrics.{key}"):
                query = Query(filter=text, order_by=(order,))
                assert in_sql(engine, has, query) == in_tables(odd, text, [order])
    if "inputs" in lost:
        assert in_sql(engine, has, Query(filter="datasets.name = 'train'")) == []
        assert in_sql(engine, has, Query(filter="datasets.name IS NULL")) == in_tables(odd, "", [])
    engine.dispose()


def test_filter_strings_are_not_interpreted_as_sql(odd):
    for hostile in ("'; DROP TABLE runs; --", "%s :x {y} \\", "a`b"):
        quoted = f'"{hostile}"'
        assert in_tables(odd, f"params.k = {quoted}", []) == []
        assert (
            in_sql(odd.engine, columns_of(odd.engine), Query(filter=f"params.`{hostile.replace('`', '')}` = {quoted}"))
            == []
        )
    assert odd.search("")


def test_experiments_run_ids_and_view_without_a_filter(odd):
    has, all_ids = columns_of(odd.engine), odd.search("")
    first = odd.experiment_ids[0]
    of_first = [run.info.run_id for run in odd.client.search_runs([first])]
    assert in_sql(odd.engine, has, Query()) == all_ids
    assert in_sql(odd.engine, has, Query(experiment_ids=(first, "nope", "9" * 30))) == of_first
    assert in_sql(odd.engine, has, Query(experiment_ids=("nope",))) == []
    assert set(in_sql(odd.engine, has, Query(run_ids=tuple(all_ids[:3])))) == set(all_ids[:3])
    many = (*all_ids, *(f"{number:032x}" for number in range(40_000)))
    assert in_sql(odd.engine, has, Query(run_ids=many)) == all_ids
    assert in_sql(odd.engine, has, Query(view="deleted")) == []
    assert in_sql(odd.engine, has, Query(view="all")) == all_ids


def test_like_patterns_take_linear_time():
    text = "a" * 8000
    tables = run_tables(
        runs=table_of(schema.RUNS, [{"run_id": "1", "experiment_id": "0"}]),
        params=table_of(schema.PARAMS, [{"run_id": "1", "key": "k", "value": text}]),
    )
    begin = time.perf_counter()
    assert select_runs(parse_filter(f"params.k LIKE '{'%a' * 200}%b'"), (), tables) == []
    assert time.perf_counter() - begin < 1


def test_filtering_100_000_runs_takes_under_5_seconds():
    count = 100_000
    ids = [f"{number:032x}" for number in range(count)]
    nulls = pa.nulls(count, pa.string())
    texts = {"run_id": pa.array(ids), "experiment_id": pa.array(["0"] * count)}
    times = {"start_time": pa.array(range(count), pa.int64()), "end_time": pa.nulls(count, pa.int64())}
    tables = run_tables(
        runs=pa.table([{**texts, **times}.get(name, nulls) for name in schema.RUNS.names], schema=schema.RUNS),
        params=pa.table(
            [ids * 5, [f"p{n // count}" for n in range(5 * count)], ["0.5", "x"] * (5 * count // 2)],
            schema=schema.PARAMS,
        ),
    )
    begin = time.process_time()
    run_ids = select_runs(
        parse_filter("params.p3 > 0.1 OR params.p1 = 'y'"), parse_order_by(["params.p2 DESC"]), tables
    )
    assert len(run_ids) == count / 2
    assert time.process_time() - begin < 5
