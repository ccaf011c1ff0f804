"""Bundles: a notebook with its page and a snapshot of the data that it uses, in one folder or zip file."""
