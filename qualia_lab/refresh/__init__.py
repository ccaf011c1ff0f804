"""Refresh notebooks: bring them up to date with their store, and keep what the user wrote."""
