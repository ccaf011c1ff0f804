# %% [markdown] section="title"
# What happened, and what took long.

# %% section="setup" tags=["hide-cell"]

# %% section="configuration" tags=["hide-cell"]

# %% section="loading" tags=["hide-cell"]

# %% section="headline" tags=["hide-input"]

# %% section="findings" tags=["hide-input"]

# %% section="slowest"

# %% [markdown]
# ## Metrics of these runs

# %%
runs.metrics.describe()

# %% section="each_run"
