"""Masking of secrets in a store, found by the name of a param or tag and by the form of the value."""
