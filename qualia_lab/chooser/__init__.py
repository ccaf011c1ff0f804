"""Prompts: which store, which experiments, which runs, what name."""
