# Needs python3 (3.10 or later), git and make. Everything else is installed into .venv folders of this directory.
# `make backends` needs go as well.
PYTHON ?= python3
DEV := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help demo test check format bench bench-drift bench-drift-peers bench-faults sklearn-suite backends versions lowest pins generate develop clean

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */|/' | awk -F'|' '{printf "  make %-17s %s\n", $$1, $$2}'

demo:  ## run three programs on 336,776 flights and show what was recorded and who made what
	@$(PYTHON) tools/environment.py .venv -c requirements/test.txt -e '.[demo]'
	@$(DEV)/python tools/demo.py $(ARGS)

test:  ## build the wheel, install it into .venv-test and run the whole suite there (ARGS= for pytest)
	@$(PYTHON) tools/suite.py .venv-test $(ARGS)

check: develop  ## format, lint, strict types, generated files in step, docs without warnings
	$(DEV)/ruff format --check .
	$(DEV)/ruff check .
	$(DEV)/mypy
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(DEV)/pyright --pythonpath $(DEV)/python tests/typing
	$(DEV)/python tools/generate_semconv.py --check
	$(DEV)/python tools/generate_rules.py --check
	$(DEV)/python tools/generate_cli_docs.py --check
	$(DEV)/sphinx-build -q -W --keep-going -d docs/_build/doctrees -b html docs docs/_build/html

format: develop  ## put the code into its format and mend what ruff can mend
	$(DEV)/ruff check --fix .
	$(DEV)/ruff format .

bench: develop  ## measure what mlotel costs, as ratios, beside what it may cost
	@$(DEV)/python bench $(ARGS)

bench-drift: develop  ## measure drift detection: false alarms, delays, errors and cost, beside their bounds (ARGS=--quick)
	@$(DEV)/python bench/drift.py $(ARGS)

bench-drift-peers: develop  ## compare drift detection with other libraries, as far as they are installed (ARGS=--help)
	@$(DEV)/python bench/drift_peers.py $(ARGS)

bench-faults: develop  ## count what is lost under faults and at every end of a process, beside the SDK alone
	@$(DEV)/python bench/faults.py $(ARGS)

sklearn-suite: develop  ## run scikit-learn's own tests bare and instrumented, and compare (ARGS=--quick)
	@$(DEV)/python tools/sklearn_suite.py $(ARGS)

backends:  ## build the servers that tests run (OpenTelemetry Collector, Prometheus) into .backends; needs go
	@$(PYTHON) tools/backends.py $(ARGS)

versions:  ## run the suite on every Python named in the metadata that is here (VERSIONS="3.10 3.13")
	@$(PYTHON) tools/versions.py $(VERSIONS)

lowest:  ## run the suite with the oldest versions that pyproject.toml allows, on Python 3.10
	@$(PYTHON) tools/versions.py --lowest 3.10

generate: develop  ## write constants, tables and rules from registry/, and the page of commands
	$(DEV)/python tools/generate_semconv.py
	$(DEV)/python tools/generate_rules.py
	$(DEV)/python tools/generate_cli_docs.py

pins: develop  ## renew the pinned versions in requirements/
	$(DEV)/python tools/pins.py

develop:  ## set up .venv for work on mlotel
	@$(PYTHON) tools/environment.py .venv -r requirements/dev.txt -c requirements/test.txt -e '.[demo,sklearn]'

clean:  ## remove what was built here, the test environments included (.venv, .mlotel and .backends stay)
	rm -rf .venv-* build dist docs/_build .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
