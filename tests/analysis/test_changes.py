"""What changed between two times is true of both, and says what it could not compare."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from qualia_lab.analysis.changes import FindingResult, Results, RunResult, compare_results
from qualia_lab.analysis.changes_sentences import count_findings, describe_findings, describe_lead, describe_runs
from qualia_lab.notebook.changes_cell import changes_text, fold

findings = st.builds(
    FindingResult,
    st.sampled_from(["diverged", "overfitting"]),
    st.just("problem"),
    st.sampled_from(["", "churn"]),
    st.sampled_from([(), ("val_auc",)]),
    st.sampled_from(["1 run diverged.", "2 runs diverged.", "3 runs overfit."]),
)
runs = st.dictionaries(
    st.sampled_from("abcd"), st.builds(RunResult, st.just("run"), st.sampled_from(["", "RUNNING", "FINISHED"]), st.sampled_from(["", "1", "2"]))
)  # fmt: skip
results = st.builds(
    Results,
    st.just("2026-11-28T10:00:00+00:00"),
    runs,
    st.none() | st.sampled_from([("a leads.",), ("b leads.",)]),
    st.none() | st.lists(findings, unique=True, max_size=5).map(tuple),
)


@given(results, results)
def test_every_run_and_finding_is_counted_once(before, after):
    changes = compare_results(before, after)
    assert set(changes.new_runs) == set(after.runs) - set(before.runs)
    assert set(changes.gone_runs) == set(before.runs) - set(after.runs)
    if changes.findings_known:
        assert changes.same + len(changes.changed) + len(changes.new) == len(after.findings)
        assert changes.same + len(changes.changed) + len(changes.gone) == len(before.findings)
        assert not {one.sentence for one in changes.new} & {one.sentence for one in changes.gone} or all(
            (one.rule, one.experiment, one.keys) != (other.rule, other.experiment, other.keys) or one.sentence != other.sentence
            for one in changes.new for other in changes.gone
        )  # fmt: skip
    else:
        assert (changes.new, changes.gone, changes.changed, changes.same) == ((), (), (), 0)


@given(results)
def test_nothing_changed_between_equal_results(same):
    changes = compare_results(same, same)
    assert changes.is_empty
    assert describe_runs(changes) == []


def test_a_new_run_with_the_name_of_one_that_went_is_told_apart():
    changes = compare_results(Results(runs={"a" * 32: RunResult("run")}), Results(runs={"b" * 32: RunResult("run")}))
    assert (list(changes.new_runs.values()), list(changes.gone_runs.values())) == (
        ["run (bbbbbbbb)"],
        ["run (aaaaaaaa)"],
    )


def test_many_findings_are_quoted_in_part_and_counted():
    many = tuple(FindingResult(f"rule{n}", "problem", "", (), f"{n} <b>runs</b>.") for n in range(20))
    text = changes_text(compare_results(Results(lead=(), findings=()), Results(lead=(), findings=many)))
    assert "<details><summary>Findings: 20 new.</summary>" in text
    assert text.count("New finding") == 12
    assert "8 more findings" in text
    assert "<b>" not in text


def test_an_unknown_status_is_no_change():
    before = Results(runs={"a": RunResult("one", "", ""), "b": RunResult("two", "RUNNING", "1")})
    after = Results(runs={"a": RunResult("one", "FINISHED", "1"), "b": RunResult("two", "FINISHED", "2")})
    changes = compare_results(before, after)
    assert changes.statuses == {"b": ("two", "RUNNING", "FINISHED")}
    assert [tuple(line) for line in describe_runs(changes)] == [
        ("1 run RUNNING before, now FINISHED", "two", ""),
        ("1 run with new values", "two", ""),
    ]


def test_what_was_not_compared_is_said():
    changes = compare_results(Results(), Results(lead=(), findings=()))
    lines = [describe_lead(changes), count_findings(changes)]
    assert [line.text for line in lines] == ["not compared, because one of the two has none."] * 2
    assert describe_findings(changes) == []


def test_strings_of_a_store_are_escaped_in_the_notebook_and_a_cell_is_folded_once():
    hostile = "<img src=x onerror=alert(1)> [a](javascript:x) `b`"
    text = changes_text(compare_results(Results(when="2026-11-28T10:00:00"), Results(runs={"a": RunResult(hostile)})))
    assert text.startswith("## What changed since 2026-11-28 10:00\n\n- **1 run new**: ")
    assert not set("<`[") & set(text)
    folded = fold(text)
    assert folded.startswith("<details><summary>What changed since 2026-11-28 10:00</summary>\n\n- **1 run new**")
    assert fold(folded) == folded


def test_a_title_has_seconds_if_an_earlier_one_has_the_same_minute():
    changes = compare_results(Results(when="2026-11-28T10:00:07+00:00"), Results(runs={"a": RunResult("a")}))
    same, other = ("## What changed since 2026-11-28 10:00", "## What changed since 2026-11-28 09:59")
    assert changes_text(changes, [f"{other}\n\ntext"]).startswith(f"{same}\n")
    assert changes_text(changes, [fold(f"{same}\n\ntext")]).startswith(f"{same}:07\n")
