"""What a person holds in a notebook: `runs = load_runs(TRACKING_URI, RUN_IDS)`."""

from qualia_lab.runs.load import load_runs
from qualia_lab.runs.runs import Runs

__all__ = ["Runs", "load_runs"]
