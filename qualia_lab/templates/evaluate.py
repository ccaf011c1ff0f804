# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown] section="title"
# Evaluated versions: which is better, on which rows, at what cost.

# %% section="setup" tags=["hide-input"]

# %% section="configuration" tags=["hide-input"]

# %% section="loading" tags=["hide-input"]

# %% section="evaluations"

# %% section="evaluation_rows"

# %% section="evaluation_slices"

# %% section="judges"

# %% section="evaluation_costs"

# %% section="traces"

# %% section="trace_errors"

# %% section="trace_examples"

# %% section="trace_latency"

# %% section="trace_models"

# %% section="models"

# %% section="model_cards"

# %% section="findings"

# %% section="study"

# %% section="overview"

# %% section="metrics"

# %% section="origins"

# %% section="each_run"

# %% section="artifacts"

# %% section="exploration"
