# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown] section="title"
# Runs too many to read, aggregated by an engine.

# %% section="aggregate_setup" tags=["hide-input"]

# %% section="aggregate_configuration" tags=["hide-input"]

# %% section="aggregate_loading" tags=["hide-input"]

# %% section="aggregate_overview"

# %% section="aggregate_metrics"

# %% section="aggregate_top"

# %% section="aggregate_progress"

# %% section="aggregate_curves"

# %% section="aggregate_curves_by"

# %% section="aggregate_params"

# %% section="aggregate_exploration"
