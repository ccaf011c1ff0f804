"""`--since`, `--status` and `--where` are translated to filter text, and formatted filters parse to the same condition."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qualia_lab.errors import FilterError
from qualia_lab.query import And, Comparison, Field, parse_filter, parse_order_by
from qualia_lab.query.sugar import join_filters, parse_where, resolve_field, since_filter, status_filter, where_filter
from qualia_lab.query.write import filter_text, moment_text, orders_text
from tests.query.odd_runs import EXTENDED_FILTERS, EXTENDED_ORDERS, MLFLOW_FILTERS

KEYS = {
    "param": {"lr", "model", "a b", "duration", "shared", "val.min"},
    "metric": {"val_auc", "val/loss", "shared"},
    "tag": {"team", "mlflow.user"},
}


def filter_of(text: str) -> str:
    where = parse_where(text)
    return where_filter(where, where.field or resolve_field(where, KEYS))


@given(EXTENDED_FILTERS | MLFLOW_FILTERS)
def test_a_formatted_condition_parses_to_the_same_condition(text):
    condition = parse_filter(text)
    assert parse_filter(filter_text(condition)) == condition


@given(EXTENDED_ORDERS)
def test_formatted_orders_parse_to_the_same_orders(texts):
    orders = parse_order_by(texts)
    assert parse_order_by([orders_text(orders)] if orders else []) == orders


@given(st.text(max_size=8), st.sampled_from(["param", "tag", "metric"]), st.text(max_size=8))
def test_any_key_and_text_are_quoted_correctly_or_refused(key, kind, value):
    operator, operand = ("=", value) if kind != "metric" else (">", 0.5)
    condition = Comparison(Field(kind, key or "k"), operator, operand)
    try:
        text = filter_text(condition)
    except FilterError as error:
        assert "LIKE" in error.hint
        assert set(key + value) & set("'\"\\")
        return
    if set(text) & {"\x00"}:
        return
    assert parse_filter(f"{text} AND status = 'x'").parts[0] == condition


@given(st.integers(-(2**63), 2**63 - 1) | st.integers(1_600_000_000_000, 1_800_000_000_000))
def test_a_formatted_time_parses_to_the_same_millisecond(moment):
    for zone in (UTC, None):
        assert parse_filter(f"start_time > {moment_text(moment, zone)}").value in (moment, float(moment))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lr=0.1", "params.lr = 0.1"),
        (" lr = 0.1 ", "params.lr = 0.1"),
        ("lr!=1e-3", "params.lr != 1e-3"),
        ("lr<>0.1", "params.lr != 0.1"),
        ("lr='0.1'", "params.lr = '0.1'"),
        ("lr=0.1.2", "params.lr = '0.1.2'"),
        ("model=mlp", "params.model = 'mlp'"),
        ("model=it's", 'params.model = "it\'s"'),
        ("model=", "params.model = ''"),
        ("model=a=b", "params.model = 'a=b'"),
        ("`a b`=x", "params.`a b` = 'x'"),
        ("a b=x", "params.`a b` = 'x'"),
        ("val_auc>=.8", "metrics.val_auc >= .8"),
        ("val_auc.min<0.1", "metrics.val_auc.min < 0.1"),
        ("val/loss.last<0.1", "metrics.val/loss < 0.1"),
        ("val.min=3", "params.val.min = 3"),
        ("metrics.val_auc.at(10)>1", "metrics.val_auc.at(10) > 1"),
        ("metrics.nobody>1", "metrics.nobody > 1"),
        ("params.shared=1", "params.shared = 1"),
        ("mlflow.user=ana", "tags.mlflow.user = 'ana'"),
        ("status=finished", "status = 'FINISHED'"),
        ("attributes.duration>8 minutes", "duration > 8 minutes"),
        ("run_id=77", "run_id = '77'"),
        ("experiment.name=churn", "experiment.name = 'churn'"),
        ("datasets.digest=12", "datasets.digest = '12'"),
    ],
)
def test_where_is_translated_to_a_filter(text, expected):
    assert filter_of(text) == expected


def test_a_time_in_where_becomes_a_date_with_a_zone():
    local = datetime(2026, 11, 1).astimezone()
    text = filter_of("start_time>2026-11-01")
    assert parse_filter(text).value == round(local.timestamp() * 1000)
    assert parse_filter(text.replace(">", "<")).value == parse_filter(text).value
    age = parse_filter(filter_of("end_time<=7d")).value
    assert age == pytest.approx((datetime.now(UTC) - timedelta(days=7)).timestamp() * 1000, abs=5000)
    assert filter_of("start_time>=5") == "start_time >= 5"


@pytest.mark.parametrize(
    ("text", "position", "words"),
    [
        ("lr", 0, "KEY=VALUE"),
        ("=1", 0, "KEY=VALUE"),
        ("lr==1", 2, "Write one ="),
        ("shared=1", 0, "params.shared or metrics.shared"),
        ("duration>1", 0, "attributes.duration or params.duration"),
        ("modle=x", 0, "Did you mean params.model?"),
        ("nothing like it=x", 0, "Examples of known keys: params.`a b`"),
        ("metrics.val_auc.at>1", 18, "step"),
        ("val_auc>high", 8, "number"),
        ("model<gbm", 6, "number"),
        ("status=done", 7, "FINISHED"),
        ("start_time>yesterday", 11, "12 hours ago"),
        ("start_time>999999999999d", 11, "neither"),
        ("model='\"", 6, "quotes"),
        ("model=C:\\", 6, "quotes"),
    ],
)
def test_an_error_has_the_position_in_the_flag(text, position, words):
    with pytest.raises(FilterError) as error:
        filter_of(text)
    assert (error.value.text, error.value.position) == (text, position)
    assert words in str(error.value)


def test_status_and_since_are_translated_to_filters():
    assert status_filter([]) == since_filter(None) == ""
    assert status_filter(["failed"]) == "status = 'FAILED'"
    assert status_filter(["failed", "KILLED", "FAILED"]) == "status IN ('FAILED', 'KILLED')"
    since = parse_filter(since_filter("2026-11-01T00:00:00Z"))
    assert since == Comparison(Field("attribute", "start_time"), ">=", 1793491200000)
    for wrong in ("yesterday-ish", "99999999999999 days"):
        with pytest.raises(FilterError, match="neither a date nor an age"):
            since_filter(wrong)
    with pytest.raises(FilterError, match="No status"):
        status_filter(["DONE"])


@given(EXTENDED_FILTERS | MLFLOW_FILTERS | st.just("params.k = 'a\\'"))
def test_filters_are_joined_with_and(written):
    sugar = ["status = 'FAILED'", "params.model = 'x'"]
    whole = parse_filter(join_filters(["", *sugar], written))
    condition = parse_filter(written)
    assert isinstance(whole, And)
    parts = condition.parts if isinstance(condition, And) and whole.parts[2:] != (condition,) else (condition,)
    assert whole.parts == (parse_filter(sugar[0]), parse_filter(sugar[1]), *parts)


def test_an_error_in_the_written_filter_has_its_position():
    with pytest.raises(FilterError) as error:
        join_filters(["status = 'FAILED'"], "metrics.a >> 1")
    assert (error.value.text, error.value.position) == ("metrics.a >> 1", 11)
    assert join_filters([], "") == ""
