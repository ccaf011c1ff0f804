"""Pictures of the pages of all templates, to be looked at: `python -m tests.looks`."""
