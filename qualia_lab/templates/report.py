# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown] section="title"
# A record for others.

# %% [markdown] section="abstract"

# %% section="setup" tags=["hide-cell"]

# %% section="configuration" tags=["hide-cell"]

# %% section="loading" tags=["hide-cell"]

# %% section="headline" tags=["hide-input"]

# %% section="findings" tags=["hide-input"]

# %% section="study" tags=["hide-input"]

# %% section="paper_table" tags=["hide-input"]

# %% section="groups" tags=["hide-input"]

# %% section="baseline" tags=["hide-input"]

# %% section="bands" tags=["hide-input"]

# %% section="curves" tags=["hide-input"]

# %% section="importance" tags=["hide-input"]

# %% section="trade_offs" tags=["hide-input"]

# %% section="progress" tags=["hide-input"]

# %% section="params" tags=["hide-input"]

# %% section="origins" tags=["hide-input"]

# %% section="environments" tags=["hide-input"]

# %% section="provenance" tags=["hide-input"]

# %% section="appendix" tags=["hide-input"]
