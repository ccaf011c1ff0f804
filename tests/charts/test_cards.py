"""Studies and findings as HTML and text: complete sentences, and no active HTML from a store."""

from __future__ import annotations

import pickle

import pytest

from qualia_lab.analysis.findings.finding import Finding
from qualia_lab.analysis.headline import Headline
from qualia_lab.charts.findings_card import FindingsCard
from qualia_lab.charts.headline_card import HeadlineCard
from qualia_lab.charts.study_card import StudyCard
from qualia_lab.errors import UnknownKey
from qualia_lab.runs import Runs

from .sample import WithoutHistories, runs_with, study_of

HOSTILE = "<script>alert(1)</script> $x$ \u202e"


def a_study(**said):
    rows = [({"lr": str(n % 3), HOSTILE: str(n % 2), "seed": str(n)}, {"val_acc": 0.1 * n}) for n in range(12)]
    tables = runs_with(rows)
    return study_of(tables, **said), {run_id: run_id for run_id in tables.run_ids}


def test_a_study_card_lists_factors_and_their_levels():
    card = StudyCard(*a_study())
    said = repr(card)
    assert "val_acc is the objective, by its name; higher is better." in said
    assert "lr: 0, 1, 2" in said
    assert "seed only repeats configurations." in said
    assert "6 configurations of 2 runs each." in said


def test_strings_of_a_store_are_escaped_in_a_study_card():
    card = StudyCard(*a_study())
    page = card._repr_html_()
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert "\u202e" not in page + repr(card)
    assert "$x$" not in page


def test_an_unknown_direction_is_shown_with_the_setting_for_it():
    rows = [({"lr": str(n)}, {"frobnication": float(n)}) for n in range(4)]
    tables = runs_with(rows)
    said = repr(StudyCard(study_of(tables), {run_id: run_id for run_id in tables.run_ids}))
    assert "the direction is not known" in said
    assert "GREATER_IS_BETTER" in said


def a_finding(rule, kind, severity="note", **more):
    return Finding(rule, kind, severity, f"{rule} {HOSTILE}.", **more)


def test_findings_have_a_next_step_and_those_not_examined_are_folded():
    found = [
        a_finding("best_configuration", "answer", next=f"Run more. {HOSTILE}", section="groups", code="runs.answer()"),
        a_finding("diverged", "problem", "problem"),
        a_finding("not_examined", "not examined"),
    ]
    card = FindingsCard(found, {"groups": "Configurations averaged"}, 7)
    text, page = repr(card), card._repr_html_()
    assert text.splitlines()[0] == "What stands out among 7 runs: 1 answer, 1 problem."
    assert "    Next: Run more." in text
    assert "and 1 more: runs.findings()" in text
    assert page.index("<summary>1 more</summary>") < page.index("not examined")
    assert '<a href="#groups">Configurations averaged</a>' in page
    assert "<summary><small>recompute</small></summary><code" in page
    assert "<script" not in page
    assert "\u202e" not in text + page
    assert repr(FindingsCard(found[2:], {}, 2)).splitlines()[0] == "Nothing stands out among 2 runs."


def test_the_end_of_a_long_sentence_is_folded_on_its_card():
    clauses = "; ".join(f"mlp-{n:02}-seed0 from step {n} on (val_loss 0.3 → 0.7, {HOSTILE})" for n in range(9))
    page = FindingsCard([Finding("overfitting", "problem", "warning", f"9 of 24 runs overfit: {clauses}.")], {}, 24)
    shown, folded = page._repr_html_().split("<details>")
    assert "mlp-00-seed0" in shown and "mlp-08-seed0" not in shown and len(shown) < 900
    assert folded.startswith("<summary><small>more</small></summary><p>… mlp-")
    assert "<script" not in shown + folded


def test_strings_of_a_store_are_escaped_in_a_headline():
    card = HeadlineCard(
        Headline((f"In {HOSTILE}: lr=1 leads.",), f"Of 2 runs, 1 failed. {HOSTILE}", f"Take {HOSTILE}.")
    )
    page, text = card._repr_html_(), repr(card)
    assert len(text.splitlines()) == 3 and text.splitlines()[2].startswith("Next: Take")
    assert "&lt;script&gt;" in page and "<script" not in page
    assert "\u202e" not in page + text and "$x$" not in page


def test_a_wrong_column_raises_a_helpful_error_and_derived_frames_are_plain_dataframes():
    import pandas as pd

    runs = Runs(WithoutHistories(), runs_with([({"lr": "0.1"}, {"val_auc": 0.5}), ({"lr": "0.2"}, {"val_auc": 0.6})]))
    frame = runs.metrics
    for wrong in ("val_auk", ["val_auc", "val_auk"]):
        with pytest.raises(UnknownKey, match="Did you mean val_auc"):
            frame[wrong]
    assert "val_auk" not in frame
    assert frame.get("val_auk") is None
    assert frame["val_auc"].tolist() == [0.5, 0.6]
    assert frame[frame["val_auc"] > 0.5].index.tolist() == [frame.index[1]]
    for made in (frame.copy(), frame.round(1), frame[["val_auc"]], frame.loc[:, "val_auc":], frame.describe()):
        assert type(made) is pd.DataFrame
    assert pickle.loads(pickle.dumps(frame)).equals(frame)
    assert runs.params["lr"].tolist() == [0.1, 0.2]
