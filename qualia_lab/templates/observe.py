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

# %% section="findings"

# %% section="study"

# %% section="overview"

# %% section="each_run"

# %% section="params"

# %% section="metrics"

# %% section="groups"

# %% section="baseline"

# %% section="paper_table"

# %% section="curves"

# %% section="bands"

# %% section="relations"

# %% section="importance"

# %% section="trade_offs"

# %% section="progress"

# %% section="timeline"

# %% section="system"

# %% section="origins"

# %% section="environments"

# %% section="artifacts"

# %% section="exploration"
