# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown] section="title"
# To choose a model among candidates.

# %% section="setup" tags=["hide-input"]

# %% section="configuration" tags=["hide-input"]

# %% section="loading" tags=["hide-input"]

# %% section="headline"

# %% section="findings"

# %% section="candidates"

# %% section="baseline"

# %% section="trade_offs"

# %% section="study"

# %% section="overview"

# %% section="curves"

# %% section="bands"

# %% section="metrics"

# %% section="params"

# %% section="relations"

# %% section="importance"

# %% section="origins"

# %% section="environments"

# %% section="models"

# %% section="model_cards"

# %% section="each_run"

# %% section="artifacts"

# %% section="decision"

# %% section="exploration"
