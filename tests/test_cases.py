"""Small stores that were once described wrongly (shared/data/cases): what has to be found, and what must not be."""

from __future__ import annotations

import pytest

from qualia_lab import NotebookGenerator, load_runs
from qualia_lab.study.as_data import study_as_data


class Case:
    """One case: its study as `qualia study --json` prints it, its findings, and the names of its runs."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.runs = load_runs(uri, NotebookGenerator(uri).select().run_ids)
        self.study = study_as_data(self.runs.study, self.runs.tables)
        names = self.runs.tables.runs.column("run_name").to_pylist()
        self.names = dict(zip(self.runs.tables.run_ids, names, strict=True))
        self.findings = self.runs.find({})

    def only(self, rule):
        """The only finding of a rule."""
        [found] = [one for one in self.findings if one.rule == rule]
        return found

    def rules(self):
        """The rules that fired."""
        return {one.rule for one in self.findings}

    def text(self):
        """All sentences as one text."""
        return "\n".join(f"{one.sentence} {one.next}" for one in self.findings)

    def runs_of(self, finding):
        """The names of the runs of a finding."""
        return {self.names[run_id] for run_id in finding.run_ids}

    def role(self, key, kind="params"):
        """The role of a param or tag."""
        return next(one["role"] for one in self.study[kind] if one["key"] == key)

    def metric(self, key):
        """The entry of a metric in the study."""
        return next(one for one in self.study["metrics"] if one["key"] == key)


@pytest.fixture
def case(cases, request):
    return Case(str(cases / request.function.__name__.removeprefix("test_")))


def test_two_tasks(case):
    assert case.study["objective"] is None
    assert {finding["experiment"] for finding in case.study["tasks"]} == {"predict_a", "predict_b"}
    answers = {finding.experiment: finding for finding in case.findings if finding.rule == "best_configuration"}
    assert case.runs_of(answers["predict_a"]) == {"a0"} and "19" in answers["predict_a"].sentence
    assert case.runs_of(answers["predict_b"]) == {"b0"} and "570" in answers["predict_b"].sentence
    assert "300" not in case.text()


def test_factor_in_a_tag(case):
    assert case.role("fingerprint", "tags") == "factor"
    assert case.role("seed") in ("seed", "constant")
    found = case.only("factor_effect")
    assert "6 of 6" in found.sentence and found.sentence.index("morgan") < found.sentence.index("maccs")
    assert "duplicates" not in case.rules()


def test_duration_leads(case):
    assert case.study["objective"]["key"] == "mse" and case.study["objective"]["better"] == "lower"
    assert case.metric("train_duration_s")["role"] == "cost"
    assert case.runs_of(case.only("best_configuration")) == {"r5"}


def test_label_params(case):
    assert case.role("out_path") == case.role("run") == "label"
    assert sorted(one["values"]["dim"] for one in case.study["configurations"]) == ["16", "32"]
    assert [len(one["runs"]) for one in case.study["configurations"] if one["values"]["dim"] == "16"] == [2]
    assert [{case.names[run_id] for run_id in one} for one in case.study["possible_copies"]] == [{"l16", "l16-1"}]
    assert "out_path" not in case.text()


def test_paths_hide_seeds(case):
    assert case.role("output_dir") == "label" and case.role("seed") == "seed"
    assert [one["computations"] for one in case.study["configurations"]] == [5, 5]
    found = case.only("best_configuration")
    assert "full" in found.sentence and "none" in found.sentence
    assert any(number.what == "difference" for number in found.numbers)
    assert "No two configurations" not in case.text()


def test_one_configuration(case):
    assert len(case.study["configurations"]) == 1 and case.study["configurations"][0]["computations"] == 10
    found = case.only("best_configuration")
    assert "n = 10" in found.sentence and "0.9" in found.sentence
    assert len(found.run_ids) == 10


def test_equal_to_the_last_digit(case):
    assert case.study["configurations"][0]["computations"] == 1
    assert "differ" not in case.only("duplicates").sentence
    assert case.runs_of(case.only("duplicates")) == {"a", "b"}


def test_one_computation_nine_times(case):
    by_depth = {one["values"]["depth"]: one for one in case.study["configurations"]}
    assert by_depth["1"]["computations"] == 1 and len(by_depth["1"]["runs"]) == 9
    assert "n = 9" not in case.text()
    assert not any(number.what == "difference" for one in case.findings for number in one.numbers)


def test_long_names(case):
    named = case.only("failed_apart").sentence
    assert all(f"2026030{place}" in named for place in range(3))


def test_training_logged_more_often(case):
    assert case.study["objective"]["key"] == "acc/val"
    assert case.metric("acc/train")["role"] == "training"
    assert case.runs_of(case.only("best_configuration")) == {"r5"}


def test_state_is_no_seed(case):
    assert case.role("mamba_d_state") == "factor"
    assert len(case.study["configurations"]) == 6


def test_a_count_leads(case):
    assert case.study["objective"]["key"] == "acc"
    assert case.metric("sample_len")["role"] == "count"
    assert "sample_len" not in {key for one in case.findings if one.kind != "not examined" for key in one.keys}


def test_spread_is_no_score(case):
    assert case.study["objective"]["key"] == "mean_test_f1"
    assert case.metric("std_test_f1")["role"] == "spread" and case.metric("std_test_f1")["better"] is None
    assert "trade_offs" not in case.rules()


def test_random_search(case):
    assert {case.role(key) for key in ("lr", "dropout", "weight_decay")} == {"factor"}
    found = [one for one in case.findings if one.kind == "relation"]
    assert {key for one in found for key in one.keys} & {"lr", "dropout", "weight_decay"} == {"lr"}
    assert "together" not in case.text()


def test_interaction(case):
    found = case.only("best_configuration")
    assert case.runs_of(found) == {f"lr{pair}-{seed}" for pair in ("0.001-bs32", "0.01-bs256") for seed in range(5)}
    assert {"lr", "batch_size"} <= set(case.only("interaction").keys)
    assert "factor_effect" not in case.rules()


def test_healthy_gan(case):
    assert case.study["objective"]["key"] == "fid" and case.study["objective"]["better"] == "lower"
    assert not {"diverged", "spikes", "overfitting", "collapse"} & case.rules()


def test_edge_of_the_range(case):
    found = case.only("edge")
    assert case.runs_of(found) == {f"lr0.01-{seed}" for seed in range(5)} and "beyond" in found.next


def test_confounded(case):
    found = case.only("confounded")
    assert {"attention", "batch_size"} <= set(found.keys) and "commit" in found.sentence
    assert "full" in case.only("best_configuration").sentence


def test_level_rivals(case):
    found = case.only("best_configuration")
    assert len(found.run_ids) == 18
    assert not any(number.what == "difference" for number in found.numbers)
    assert "80 %" in found.sentence


def test_a_sweep_and_its_parent(case):
    assert [case.names[run_id] for run_id in case.study["parents"]] == ["sweep"]
    assert case.runs_of(case.only("best_configuration")) == {"trial3"}
    assert not {"edge", "monotone", "matters"} & case.rules()


def test_a_metric_called_min(case):
    generator = NotebookGenerator(case.uri)
    found = generator.select(filter="metrics.reward.mean >= 1").run_ids
    assert {case.names[run_id] for run_id in found} == {"b", "c"}
    ordered = generator.select(order_by=["metrics.latency.max DESC"]).run_ids
    assert [case.names[run_id] for run_id in ordered] == ["a", "b", "c"]


def test_no_line_break_at_the_end(case):
    assert case.runs.metrics["LB_Score"].tolist() == [0.809]
