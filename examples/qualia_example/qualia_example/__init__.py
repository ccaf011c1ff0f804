"""A template, a section, a rule and a preview for qualia-lab."""

from importlib.resources import files

from qualia_example.durations import slowest_runs

__all__ = ["WEEKLY", "slowest_runs"]

WEEKLY = files(__name__) / "templates" / "weekly.py"
