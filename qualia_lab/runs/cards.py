"""Cards of the loaded runs: of their study, of findings and of one run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.errors import UnknownRun
from qualia_lab.runs.finding_charts import finding_charts
from qualia_lab.runs.message import Message

if TYPE_CHECKING:
    from qualia_lab.analysis.findings.finding import Finding
    from qualia_lab.charts.findings_card import FindingsCard
    from qualia_lab.charts.run_card import RunCard
    from qualia_lab.charts.study_card import StudyCard
    from qualia_lab.runs.loaded import Loaded


def study_card(loaded: Loaded) -> StudyCard:
    """The card of the study, with the descriptions that people wrote for the experiments."""
    from qualia_lab.charts.descriptions import descriptions_by_owner
    from qualia_lab.charts.study_card import StudyCard

    tables = loaded.tables
    notes = descriptions_by_owner(tables.experiment_tags, "experiment_id")
    of_name = {
        row["name"]: notes[row["experiment_id"]]
        for row in tables.experiments.to_pylist()
        if row["experiment_id"] in notes
    }
    return StudyCard(loaded.study, loaded.labels, of_name)


def findings_card(loaded: Loaded, findings: tuple[Finding, ...], limit: int) -> FindingsCard:
    """The card of findings, of which `limit` are shown in full, with their charts."""
    from qualia_lab.charts.findings_card import FindingsCard
    from qualia_lab.sections.added import section_titles

    titles = section_titles({finding.section for finding in findings})
    return FindingsCard(findings, titles, len(loaded), limit, finding_charts(loaded, findings[:limit]))


def run_card(loaded: Loaded, run: str | None, *, folded: bool) -> RunCard | Message:
    """The card of one run, by its id or name."""
    from qualia_lab.charts.previews import read_previews
    from qualia_lab.charts.run_card import RunCard

    if run is None:
        return Message("No run was chosen.")
    try:
        run_id = loaded.run_id(run)
    except UnknownRun as error:
        return Message(str(error))
    place, files, notes = loaded.files.of_run(run_id)
    previews = tuple(read_previews(place, files, loaded.mask_rules))
    objective = loaded.study.task_of[run_id].objective
    return RunCard(
        *(loaded.labels[run_id], loaded.one(run_id), files, notes, previews),
        objective.key if objective else None,
        folded,
    )
