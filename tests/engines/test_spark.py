"""Spark gives what DuckDB gives, asked within this process and over Spark Connect, and in a notebook."""

from __future__ import annotations

import nbformat
import pytest

from qualia_lab.engines.open import open_engine

from .notebooks import outputs_of, write
from .test_engines import QUESTIONS, assert_same, rows


@pytest.mark.slow
def test_spark_gives_what_duckdb_gives(odd_snapshot, duckdb, spark):
    engine = open_engine(odd_snapshot, "spark")
    for name, ask in QUESTIONS.items():
        mine, its = ask(duckdb), ask(engine)
        if name == "take_inventory":
            assert mine == its
            continue
        assert_same(rows(its), rows(mine))
        if hasattr(mine, "schema"):
            assert its.schema.equals(mine.schema), name
    engine.close()


@pytest.mark.slow
def test_spark_connect_gives_what_duckdb_gives(odd_snapshot, spark):
    some = ["experiments", "metrics", "top_runs", "params_of", "bands_by_param"]
    words = {"filter": "metrics.k.max > 0 OR params.K = 'abc'", "experiments": ["odd"]}
    here, there = open_engine(odd_snapshot, **words), open_engine(odd_snapshot, spark, **words)
    assert 0 < here.run_count < 30
    for name in some:
        assert_same(rows(QUESTIONS[name](there)), rows(QUESTIONS[name](here)))
    there.close()
    here.close()


@pytest.mark.slow
def test_over_spark_the_same_notebook_says_the_same(executed, odd_snapshot, spark, tmp_path):
    path = tmp_path / "spark.ipynb"
    write(odd_snapshot, spark, path).execute(path)
    over_duckdb, over_spark = outputs_of(executed), outputs_of(path)
    assert over_spark.pop("aggregate_loading") == ["58 runs, aggregated by Spark"]
    over_duckdb.pop("aggregate_loading")
    assert over_spark == over_duckdb
    sources = [[cell.source for cell in nbformat.read(one, 4).cells[2:]] for one in (executed, path)]
    assert [one.replace(spark, "duckdb") for one in sources[1]] == sources[0]
