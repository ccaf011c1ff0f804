# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown] section="title"
# Failed against successful runs.

# %% section="setup" tags=["hide-input"]

# %% section="configuration" tags=["hide-input"]

# %% section="loading" tags=["hide-input"]

# %% section="headline"

# %% section="findings"

# %% section="failures"

# %% section="first_bad_step"

# %% section="what_sets_apart"

# %% section="log_tails"

# %% section="system_at_the_end"

# %% section="study"

# %% section="timeline"

# %% section="overview"

# %% section="curves"

# %% section="system"

# %% section="params"

# %% section="metrics"

# %% section="groups"

# %% section="relations"

# %% section="origins"

# %% section="environments"

# %% section="each_run"

# %% section="artifacts"

# %% section="exploration"
