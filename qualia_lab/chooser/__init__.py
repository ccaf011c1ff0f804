"""Interactive selection on a terminal: which store, which experiments, which runs, and the name of the notebook."""
