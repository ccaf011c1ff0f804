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

# %% section="candidates"

# %% section="baseline"

# %% section="trade_offs"

# %% section="findings"

# %% section="study"

# %% section="params"

# %% section="origins"

# %% section="environments"

# %% section="curves"

# %% section="bands"

# %% section="metrics"

# %% section="relations"

# %% section="importance"

# %% section="artifacts"

# %% section="overview"

# %% section="each_run"

# %% section="exploration"

# %% section="decision"
