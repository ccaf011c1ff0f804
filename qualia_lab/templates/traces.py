# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown] section="title"
# Traces, also without runs: what goes wrong in production.

# %% section="traces_setup" tags=["hide-input"]

# %% section="traces_configuration" tags=["hide-input"]

# %% section="traces_loading" tags=["hide-input"]

# %% section="headline"

# %% section="findings"

# %% section="traces"

# %% section="trace_errors"

# %% section="trace_examples"

# %% section="trace_latency"

# %% section="trace_models"

# %% section="traces_exploration"
