# Everything a person or CI does with this checkout. Each target makes the environment that it needs.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:

# PYTHON=… names the interpreter to use; without it the first of these that runs is taken.
PYTHON ?=
VENV ?= .venv
MLFLOW2 := $(VENV)-mlflow2
BIN := $(VENV)/bin

DEMO_URI := sqlite:///demo/mlflow.db

export MLFLOW_DISABLE_TELEMETRY := true
export DO_NOT_TRACK := true
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test check test-all bench browser pins clean

help:
	@echo "make demo       demo runs, an executed notebook of them, and its HTML"
	@echo "make test       all tests, and everything they need"
	@echo "make check      lint, format, types, and the layers"
	@echo "make test-all   the tests on each Python from 3.11 to 3.13 that is here"
	@echo "make bench      docs/performance.md: a quarter of an hour; FULL=1 adds 100,000 runs"
	@echo "make browser    a Chromium for the browser tests, when there is none"
	@echo "make pins       newest versions into constraints*.txt"
	@echo "make clean      removes what these made, but for notebooks/"
	@echo
	@echo "PYTHON=/path/to/python3.12 chooses the Python of a new .venv."

demo: $(VENV)/.run demo/mlflow.db
	@$(BIN)/create-observation-notebook --tracking-uri $(DEMO_URI) --experiment churn \
	  --execute --to html --force --yes

demo/mlflow.db: | $(VENV)/.run
	@mkdir -p demo
	@$(BIN)/create-demo-runs --tracking-uri $(DEMO_URI)

test: $(VENV)/.dev $(MLFLOW2)/.run browser
	@QUALIA_TEST_MLFLOW2_PYTHON="$(abspath $(MLFLOW2))/bin/python" $(BIN)/python -m pytest --numprocesses 2 --dist loadfile

check: $(VENV)/.dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

test-all:
	@failed=; \
	for version in 3.11 3.12 3.13; do \
	  python=$$($(call first_that_runs,python$$version $${PYENV_ROOT:-$$HOME/.pyenv}/versions/$$version.*/bin/python)); \
	  if [ -z "$$python" ]; then echo "Python $$version: none that runs is here, passed over"; continue; fi; \
	  echo "Python $$version: $$python"; \
	  $(MAKE) --no-print-directory test VENV=.venv-$$version PYTHON="$$python" || failed="$$failed $$version"; \
	done; \
	[ -z "$$failed" ] || { echo "failed on Python$$failed" >&2; exit 1; }

# BENCH says more: make bench BENCH="--kinds sqlite --turns 2"
bench: $(VENV)/.dev
	@$(BIN)/python -m benchmarks $(if $(FULL),--full) $(BENCH)

browser: $(VENV)/.dev
	@.ci/browser $(BIN)/python

clean:
	rm -rf .venv .venv-* demo dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

# Environments. A stamp that is older than pyproject.toml or the pins means that there is something to install.

first_that_runs = for python in $(1); do \
	  "$$python" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	    && echo "$$python" && break; \
	done || true

# $(call install,ENVIRONMENT,CONSTRAINTS,WHAT)
define install
	@echo "installing into $(1), pinned by $(2): a minute or two the first time"
	@$(1)/bin/python -m pip install --quiet --constraint $(2) pip
	@$(1)/bin/python -m pip install --quiet --constraint $(2) --build-constraint $(2) --editable . $(3)
	@touch $@
endef

$(VENV)/.run: pyproject.toml constraints.txt | $(BIN)/python
	$(call install,$(VENV),constraints.txt)

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	$(call install,$(VENV),constraints.txt,--group test --group check)
	@touch $(VENV)/.run

$(MLFLOW2)/.run: pyproject.toml constraints-mlflow2.txt | $(MLFLOW2)/bin/python
	$(call install,$(MLFLOW2),constraints-mlflow2.txt)

%/bin/python:
	@python=$$($(call first_that_runs,$(or $(PYTHON),python3 python3.13 python3.12 python3.11))); \
	if [ -z "$$python" ]; then \
	  echo "No Python 3.11 or newer with venv is here: tried $(or $(PYTHON),python3 python3.13 python3.12 python3.11)." >&2; \
	  echo "Install one (on Debian also python3-venv), or say which: make PYTHON=/path/to/python3.12 demo" >&2; \
	  exit 1; \
	fi; \
	echo "making $* with $$("$$python" --version)"; \
	"$$python" -m venv $*

# The oldest Python decides: what has wheels for it has them for the newer ones. MLflow 2 says that it works with any
# SQLAlchemy 2, and cannot be imported with 2.1.
pins:
	@python=$$($(call first_that_runs,$(or $(PYTHON),python3.11))); \
	renew() { \
	  "$$python" -m venv --clear .venv-pins; \
	  .venv-pins/bin/python -m pip install --quiet --upgrade pip; \
	  .venv-pins/bin/python -m pip install --quiet --upgrade hatchling --editable . "$${@:2}"; \
	  { head -1 $$1; .venv-pins/bin/python -m pip freeze --all --exclude-editable --exclude setuptools; } > .venv-pins/new; \
	  mv .venv-pins/new $$1; \
	  rm -rf .venv-pins; \
	}; \
	renew constraints.txt --group test --group check; \
	renew constraints-mlflow2.txt "mlflow<3" "sqlalchemy<2.1"
