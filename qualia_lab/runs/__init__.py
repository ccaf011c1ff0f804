"""The objects that notebook cells use: `runs = load_runs(TRACKING_URI, RUN_IDS)`."""

from qualia_lab.runs.load import load_runs
from qualia_lab.runs.runs import Runs

__all__ = ["Runs", "load_runs"]
