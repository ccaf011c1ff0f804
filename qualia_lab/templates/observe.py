# ---
# qualia:
#   title: Observe
#   about: "After training: what is best, what differs, how the runs went."
# ---

# %% [markdown] section="title"

# %% section="setup"

# %% section="configuration"

# %% section="loading"

# %% section="overview"

# %% section="each_run"

# %% section="params"

# %% section="metrics"

# %% section="groups"

# %% section="curves"

# %% section="relations"

# %% section="origins"

# %% section="exploration"
