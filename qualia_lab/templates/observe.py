# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown] section="title"
# After training: what is best, what differs, and why.

# %% section="setup" tags=["hide-input"]

# %% section="configuration" tags=["hide-input"]

# %% section="loading" tags=["hide-input"]

# %% section="headline"

# %% section="findings"

# %% section="study"

# %% section="overview"

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

# %% section="groups"

# %% section="baseline"

# %% section="paper_table"

# %% section="metrics"

# %% section="curves"

# %% section="bands"

# %% section="params"

# %% section="relations"

# %% section="importance"

# %% section="trade_offs"

# %% section="progress"

# %% section="timeline"

# %% section="system"

# %% section="origins"

# %% section="environments"

# %% section="models"

# %% section="model_cards"

# %% section="each_run"

# %% section="artifacts"

# %% section="exploration"
