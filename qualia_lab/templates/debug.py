# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown] section="title"

# %% section="setup"

# %% section="configuration"

# %% section="loading"

# %% section="failures"

# %% section="first_bad_step"

# %% section="what_sets_apart"

# %% section="log_tails"

# %% section="system_at_the_end"

# %% section="findings"

# %% section="study"

# %% section="timeline"

# %% section="overview"

# %% section="curves"

# %% section="system"

# %% section="params"

# %% section="metrics"

# %% section="origins"

# %% section="environments"

# %% section="artifacts"

# %% section="groups"

# %% section="relations"

# %% section="each_run"

# %% section="exploration"
