"""The study and findings of a planted store, made in the same way as by the commands."""

from __future__ import annotations

from qualia_lab.analysis.findings import find_findings
from qualia_lab.analysis.findings.evidence import collect_evidence
from qualia_lab.analysis.findings.settings import chosen_thresholds
from qualia_lab.analysis.headline import Headline, headline_of
from qualia_lab.inventory import take_inventory
from qualia_lab.study import StudySettings, describe_study
from qualia_lab.study.left_out import names_of
from tests.headline_checked import faults_of

from .store import START, PlantedStore

LONG_AFTER = START + 10**11


def evidence_of(store: PlantedStore, settings: StudySettings | None = None, *, tables=None, read_history=None):
    """The evidence, long after the last run ended; tables and read_history replace those of the store."""
    tables = store.tables() if tables is None else tables
    study = describe_study(tables, take_inventory(tables), settings or StudySettings())
    return collect_evidence(tables, study, dict(store.names), read_history or store.read_history, now=LONG_AFTER)


def find(store: PlantedStore, settings: StudySettings | None = None, read_history=None):
    """The findings of all rules; read_history replaces that of the store."""
    return find_findings(evidence_of(store, settings, read_history=read_history), chosen_thresholds({}))


def headline_and_faults(store: PlantedStore, findings) -> tuple[Headline, list[str]]:
    """The headline of these findings on a store, and what is wrong with it."""
    evidence = evidence_of(store)
    names = names_of(evidence.tables)
    headline = headline_of(
        evidence.study, findings, evidence.answers, labels=evidence.labels, run_names=names, status=evidence.status
    )
    return headline, faults_of(headline, findings, evidence.tables, evidence.study)
