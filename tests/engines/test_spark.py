"""Spark returns the same as DuckDB: in this process, over Spark Connect, and in a notebook."""

from __future__ import annotations

import shutil

import nbformat
import pytest

from qualia_lab.engines.open import open_engine

from .notebooks import outputs_of, write
from .test_engines import AGGREGATES, assert_same, rows


@pytest.mark.slow
def test_spark_returns_the_same_as_duckdb(odd_snapshot, duckdb, spark):
    engine = open_engine(odd_snapshot, "spark")
    for name, ask in AGGREGATES.items():
        expected, actual = ask(duckdb), ask(engine)
        if name == "take_inventory":
            assert expected == actual
            continue
        assert_same(rows(actual), rows(expected))
        if hasattr(expected, "schema"):
            assert actual.schema.equals(expected.schema), name
    engine.close()


@pytest.mark.slow
def test_spark_connect_returns_the_same_as_duckdb(odd_snapshot, spark):
    names = ["experiments", "metrics", "top_runs", "params_of", "bands_by_param"]
    conditions = {"filter": "metrics.k.max > 0 OR params.K = 'abc'", "experiments": ["odd"]}
    duckdb_engine, spark_engine = (
        open_engine(odd_snapshot, **conditions),
        open_engine(odd_snapshot, spark, **conditions),
    )
    assert 0 < duckdb_engine.run_count < 30
    for name in names:
        assert_same(rows(AGGREGATES[name](spark_engine)), rows(AGGREGATES[name](duckdb_engine)))
    spark_engine.close()
    duckdb_engine.close()


@pytest.mark.slow
def test_a_notebook_has_the_same_outputs_with_spark_and_duckdb(executed, odd_snapshot, spark, tmp_path):
    path = tmp_path / "spark.ipynb"
    write(odd_snapshot, spark, path).execute(path)
    over_duckdb, over_spark = outputs_of(executed), outputs_of(path)
    assert over_spark.pop("aggregate_loading") == ["58 runs, aggregated by Spark"]
    over_duckdb.pop("aggregate_loading")
    assert over_spark == over_duckdb
    sources = [[cell.source for cell in nbformat.read(item, 4).cells[2:]] for item in (executed, path)]
    assert [item.replace(spark, "duckdb") for item in sources[1]] == sources[0]


@pytest.mark.slow
def test_spark_reads_a_snapshot_in_a_folder_of_any_name(odd_snapshot, duckdb, spark, tmp_path):
    for name in ("my runs", "50%20 [a] {b,c} #1", "a*b"):
        folder = shutil.copytree(odd_snapshot.removeprefix("snapshot:"), tmp_path / name)
        engine = open_engine(folder, "spark")
        assert engine.run_count == duckdb.run_count, name
        engine.close()
