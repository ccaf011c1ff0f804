"""The filter parser: valid filters and orders, and the positions of errors in invalid ones."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qualia_lab.errors import FilterError
from qualia_lab.query import (
    And,
    Comparison,
    Field,
    Not,
    Or,
    Order,
    needed_statistics,
    needed_tables,
    parse_filter,
    parse_order_by,
    to_mlflow,
)

ACC = Field("metric", "acc")
LR = Field("param", "lr")
STATUS = Field("attribute", "status")


def ms(*parts: int) -> int:
    return round(datetime(*parts, tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("", None),
        (" \n ", None),
        ("metrics.acc > 0.9", Comparison(ACC, ">", 0.9)),
        ("metric.`acc`>=-.5", Comparison(ACC, ">=", -0.5)),
        ('Metrics."acc" <> 1E+5', Comparison(ACC, "!=", 1e5)),
        ("metrics.val/acc_top-5.x < 1", Comparison(Field("metric", "val/acc_top-5.x"), "<", 1.0)),
        ("metrics.1st = 1", Comparison(Field("metric", "1st"), "=", 1.0)),
        ("metrics.`loss.min` < 1", Comparison(Field("metric", "loss.min"), "<", 1.0)),
        ("metrics.loss.min < 1", Comparison(Field("metric", "loss", "min"), "<", 1.0)),
        ("metrics.val/loss.x.mean < 1", Comparison(Field("metric", "val/loss.x", "mean"), "<", 1.0)),
        ("metrics.loss.last < 1", Comparison(Field("metric", "loss"), "<", 1.0)),
        ("metrics.`a b`.max < 1", Comparison(Field("metric", "a b", "max"), "<", 1.0)),
        ("metrics.`loss.min`.first < 1", Comparison(Field("metric", "loss.min", "first"), "<", 1.0)),
        ("metric.'a'.last IS NULL", Comparison(Field("metric", "a"), "IS NULL")),
        ("metrics.loss.at(100)<1", Comparison(Field("metric", "loss", "at", 100), "<", 1.0)),
        ('metrics."a b".at( -3 ) < 1', Comparison(Field("metric", "a b", "at", -3), "<", 1.0)),
        ("metrics.loss.MIN < 1", Comparison(Field("metric", "loss.MIN"), "<", 1.0)),
        ("params.loss.min = 'x'", Comparison(Field("param", "loss.min"), "=", "x")),
        ("metrics.min < 1", Comparison(Field("metric", "min"), "<", 1.0)),
        ("params.lr = '0.1'", Comparison(LR, "=", "0.1")),
        ('parameters.lr = "it\'s"', Comparison(LR, "=", "it's")),
        ("params.lr = 'it''s'", Comparison(LR, "=", "it''s")),
        ("params.lr = ''", Comparison(LR, "=", "")),
        ("params.lr > 0.05", Comparison(LR, ">", 0.05)),
        ("params.lr IN (0.1, 1e-2)", Comparison(LR, "IN", (0.1, 0.01))),
        ("params.lr not in ('a',\"b\")", Comparison(LR, "NOT IN", ("a", "b"))),
        ("params.and = 'x'", Comparison(Field("param", "and"), "=", "x")),
        ("tags.mlflow.source.name LIKE '%.py'", Comparison(Field("tag", "mlflow.source.name"), "LIKE", "%.py")),
        ("tag.é NOT ILIKE 'a'", Comparison(Field("tag", "é"), "NOT ILIKE", "a")),
        (
            "tags.a-b = 'x'and status='y'",
            And((Comparison(Field("tag", "a-b"), "=", "x"), Comparison(STATUS, "=", "y"))),
        ),
        ("attr.status != 'FAILED'", Comparison(STATUS, "!=", "FAILED")),
        ("`run name` = 'x'", Comparison(Field("attribute", "run_name"), "=", "x")),
        ("Created > 5", Comparison(Field("attribute", "start_time"), ">", 5)),
        ("start_time > '2026-11-01T00:00:00Z'", Comparison(Field("attribute", "start_time"), ">", ms(2026, 11, 1))),
        ("end_time < '2026-11-01 02:00+02:00'", Comparison(Field("attribute", "end_time"), "<", ms(2026, 11, 1))),
        ("duration > 1.5 hours", Comparison(Field("attribute", "duration"), ">", 5400.0)),
        ("duration > 90", Comparison(Field("attribute", "duration"), ">", 90.0)),
        ("experiment.name ILIKE 'churn%'", Comparison(Field("attribute", "experiment_name"), "ILIKE", "churn%")),
        ("parent_run_id IS NULL", Comparison(Field("attribute", "parent_run_id"), "IS NULL")),
        ("datasets.name is not null", Comparison(Field("dataset", "name"), "IS NOT NULL")),
        ("metrics.acc BETWEEN 1 AND 2", And((Comparison(ACC, ">=", 1.0), Comparison(ACC, "<=", 2.0)))),
        ("metrics.acc NOT BETWEEN 1 AND 2", Or((Comparison(ACC, "<", 1.0), Comparison(ACC, ">", 2.0)))),
        (
            "NOT status = 'a' OR metrics.acc > 1 AND (status = 'b' OR status = 'c')",
            Or(
                (
                    Not(Comparison(STATUS, "=", "a")),
                    And(
                        (
                            Comparison(ACC, ">", 1.0),
                            Or((Comparison(STATUS, "=", "b"), Comparison(STATUS, "=", "c"))),
                        )
                    ),
                )
            ),
        ),
    ],
)
def test_a_filter_is_parsed_to_a_condition(text, condition):
    assert parse_filter(text) == condition


def test_a_date_without_a_time_zone_is_local():
    local = round(datetime(2026, 11, 1).astimezone().timestamp() * 1000)
    assert parse_filter("start_time >= '2026-11-01'").value == local


def test_an_age_is_relative_to_now():
    week_ago = (time.time() - 7 * 86_400) * 1000
    assert parse_filter("start_time > 7 days ago").value == pytest.approx(week_ago, abs=5000)


@pytest.mark.parametrize(
    ("text", "position", "words"),
    [
        ("metrics.acc == 1", 12, "one ="),
        ("metrics.acc > 1 && status = 'x'", 16, "AND"),
        ("status = 'x' || status = 'y'", 13, "OR"),
        ("status = ‘x’", 9, "straight"),
        ("status = “x”", 9, "typographic"),
        ("status = 'x", 9, "never closed"),
        ("params.`lr = 'x'", 7, "never closed"),
        ("metrics.acc >", 13, "missing"),
        ("metrics.acc", 11, "missing"),
        ("metrics. > 1", 8, "key"),
        ("metrics.acc > 'x'", 14, "number"),
        ("params.lr > '0.1'", 12, "0.1 without quotes"),
        ("metrics.acc LIKE 'x'", 12, "number"),
        ("metrics.acc > inf", 14, "1.797"),
        ("metrics.acc > 1e999", 14, "larger"),
        ("metrics.acc > 1 metrics.b > 2", 16, "AND"),
        ("metrics.acc > 1;", 15, "semicolon"),
        ("metrics.acc > 1 AND", 19, "missing"),
        ("metrics.acc > 1 AND AND status = 'x'", 20, "attribute AND"),
        ("(metrics.acc > 1", 0, "never closed"),
        ("metrics.acc > 1)", 15, "never opened"),
        ("status = FINISHED", 9, "'FINISHED'"),
        ("status > 'x'", 7, "text"),
        ("status IN 'x'", 10, "parentheses"),
        ("status IN ('x' 'y')", 15, "comma"),
        ("status IN ('x', 1)", 16, "quotes"),
        ("params.lr IN (1, 'x')", 17, "number"),
        ("status IS 'x'", 10, "NULL"),
        ("metrics.acc BETWEEN 1 OR 2", 22, "AND"),
        ("stauts = 'x'", 0, "status"),
        ("accuracy > 0.9", 0, "metrics.accuracy"),
        ("metrik.acc > 1", 0, "metric"),
        ("datasets.source = 'x'", 9, "name, digest, context"),
        ("metrics.`loss`.median < 0.1", 14, ".mean"),
        ("metrics.`loss` .min < 0.1", 15, "operator"),
        ("metrics.loss.at < 0.1", 16, "metrics.`loss.at`"),
        ("metrics.loss.at() < 0.1", 16, "whole number"),
        ("metrics.loss.at(1.5) < 0.1", 16, "whole number"),
        ("metrics.loss.at(9223372036854775808) < 0.1", 16, "whole number"),
        ("metrics.loss.at(1, 2) < 0.1", 17, "closing"),
        ("metrics.loss.min(1) < 0.1", 16, "operator"),
        ("metrics.loss.min LIKE 'a'", 17, "metrics.loss.min is a number"),
        ("start_time > 'yesterday'", 13, "2026-11-01"),
        ("start_time > 7 days", 19, "7 days ago"),
        ("start_time > 7 fortnights ago", 15, "weeks"),
        ("start_time > 1e300 days ago", 13, "old"),
        ("params.lr = '\x00'", 13, "NUL"),
        ("(" * 100, 51, "nested"),
        ("0.9 < metrics.acc", 0, "left of the operator"),
    ],
)
def test_an_error_has_the_position_in_the_filter(text, position, words):
    with pytest.raises(FilterError) as error:
        parse_filter(text)
    assert (error.value.position, error.value.text) == (position, text)
    assert words in str(error.value)


def test_a_filter_has_at_most_200_comparisons():
    with pytest.raises(FilterError, match="200 comparisons"):
        parse_filter(" OR ".join(["status = 'x'"] * 201))


def test_orders_are_parsed():
    assert parse_order_by(
        ["metrics.acc DESC", "params.`a b`, created asc", "metrics.acc", "metrics.acc.at(2) desc"]
    ) == (
        Order(ACC, descending=True),
        Order(Field("param", "a b")),
        Order(Field("attribute", "start_time")),
        Order(Field("metric", "acc", "at", 2), descending=True),
    )


@pytest.mark.parametrize(
    ("text", "position"),
    [("metrics.acc down", 12), ("", 0), ("datasets.name", 0), ("nope", 0), ("metrics.a DESC b", 15)],
)
def test_an_order_error_has_the_position(text, position):
    with pytest.raises(FilterError) as error:
        parse_order_by(["metrics.acc", text])
    assert (error.value.position, error.value.text) == (position, text)


def test_needed_tables_are_those_that_are_used():
    condition = parse_filter("NOT (params.a = 'x' OR duration > 1) AND experiment.name = 'x'")
    assert needed_tables(condition, parse_order_by(["metrics.a"])) == {"runs", "params", "experiments", "metrics"}
    assert needed_tables(None, ()) == {"runs"}
    assert needed_tables(parse_filter("metrics.a.min > 1 AND params.x = 'y'"), ()) == {"runs", "params"}


def test_needed_statistics_are_distinct():
    condition = parse_filter("metrics.a.min > 1 AND NOT (metrics.a.min < 9 OR metrics.a > 1)")
    statistics = needed_statistics(condition, parse_order_by(["metrics.b.at(3)"]))
    assert statistics == (Field("metric", "a", "min"), Field("metric", "b", "at", 3))


PIECES = st.one_of(
    st.sampled_from(
        [
            "metrics.a",
            "metrics.a.min",
            ".at",
            "params.`a",
            "b`",
            "tags.",
            "status",
            "start_time",
            "duration",
            "datasets.name",
            "=",
            "!=",
            "<",
            ">=",
            "LIKE",
            "NOT",
            "IN",
            "BETWEEN",
            "AND",
            "OR",
            "IS",
            "NULL",
            "(",
            ")",
            ",",
            "'x'",
            '"y"',
            "'",
            '"',
            "`",
            "1",
            "-2.5",
            "1e999",
            "1e308",
            "weeks",
            "ago",
            "7",
            "days",
            "\\",
            "‘",
            ";",
            "--",
            "/*",
            "*",
            ".",
            "==",
            "&&",
            "9999999999999999999999",
        ]
    ),
    st.text(max_size=4),
)


@given(st.lists(PIECES, max_size=14).map(" ".join) | st.lists(PIECES, max_size=6).map("".join) | st.text())
def test_any_text_is_parsed_or_raises_an_error_with_a_position(text):
    try:
        to_mlflow(parse_filter(text))
    except FilterError as error:
        assert 0 <= error.position <= len(text)
        assert error.message and error.text == text


@given(st.lists(PIECES, max_size=6).map(" ".join))
def test_any_text_is_an_order_or_raises_an_error(text):
    try:
        parse_order_by([text])
    except FilterError as error:
        assert 0 <= error.position <= len(text)
