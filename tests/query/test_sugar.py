"""`--since`, `--status` and `--where` become text of the language, and that text reads as what was understood."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qualia_lab.errors import FilterError
from qualia_lab.query import And, Comparison, Field, parse_filter, parse_order_by
from qualia_lab.query.sugar import all_of, cut_where, one_field, since_filter, status_filter, where_filter
from qualia_lab.query.write import filter_text, moment_text, orders_text
from tests.query.odd_runs import MLFLOW_FILTERS, OUR_FILTERS, OUR_ORDERS

KEYS = {
    "param": {"lr", "model", "a b", "duration", "shared", "val.min"},
    "metric": {"val_auc", "val/loss", "shared"},
    "tag": {"team", "mlflow.user"},
}


def of(text: str) -> str:
    asked = cut_where(text)
    return where_filter(asked, asked.field or one_field(asked, KEYS))


@given(OUR_FILTERS | MLFLOW_FILTERS)
def test_a_condition_as_text_reads_as_the_same_condition(text):
    condition = parse_filter(text)
    assert parse_filter(filter_text(condition)) == condition


@given(OUR_ORDERS)
def test_orders_as_text_read_as_the_same_orders(texts):
    orders = parse_order_by(texts)
    assert parse_order_by([orders_text(orders)] if orders else []) == orders


@given(st.text(max_size=8), st.sampled_from(["param", "tag", "metric"]), st.text(max_size=8))
def test_any_key_and_text_are_written_so_that_they_read_the_same_or_are_refused(key, kind, value):
    operator, wanted = ("=", value) if kind != "metric" else (">", 0.5)
    condition = Comparison(Field(kind, key or "k"), operator, wanted)
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
def test_a_moment_as_text_is_the_same_millisecond(moment):
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
def test_a_comparison_by_name(text, expected):
    assert of(text) == expected


def test_a_time_by_name_is_a_date_that_names_its_zone():
    local = datetime(2026, 11, 1).astimezone()
    said = of("start_time>2026-11-01")
    assert parse_filter(said).value == round(local.timestamp() * 1000)
    assert parse_filter(said.replace(">", "<")).value == parse_filter(said).value
    age = parse_filter(of("end_time<=7d")).value
    assert age == pytest.approx((datetime.now(UTC) - timedelta(days=7)).timestamp() * 1000, abs=5000)
    assert of("start_time>=5") == "start_time >= 5"


@pytest.mark.parametrize(
    ("text", "position", "words"),
    [
        ("lr", 0, "KEY=VALUE"),
        ("=1", 0, "KEY=VALUE"),
        ("lr==1", 2, "Write one ="),
        ("shared=1", 0, "params.shared or metrics.shared"),
        ("duration>1", 0, "attributes.duration or params.duration"),
        ("modle=x", 0, "Did you mean params.model?"),
        ("nothing like it=x", 0, "There are such as params.`a b`"),
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
def test_an_error_points_at_the_place_in_the_flag(text, position, words):
    with pytest.raises(FilterError) as error:
        of(text)
    assert (error.value.text, error.value.position) == (text, position)
    assert words in str(error.value)


def test_a_status_and_a_date():
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


@given(OUR_FILTERS | MLFLOW_FILTERS | st.just("params.k = 'a\\'"))
def test_all_of_them_hold(own):
    sugar = ["status = 'FAILED'", "params.model = 'x'"]
    whole = parse_filter(all_of(["", *sugar], own))
    condition = parse_filter(own)
    assert isinstance(whole, And)
    parts = condition.parts if isinstance(condition, And) and whole.parts[2:] != (condition,) else (condition,)
    assert whole.parts == (parse_filter(sugar[0]), parse_filter(sugar[1]), *parts)


def test_an_error_in_a_persons_own_filter_points_into_it():
    with pytest.raises(FilterError) as error:
        all_of(["status = 'FAILED'"], "metrics.a >> 1")
    assert (error.value.text, error.value.position) == ("metrics.a >> 1", 11)
    assert all_of([], "") == ""
