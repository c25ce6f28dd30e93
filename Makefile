.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup services services-stop fmt lint types test contract sim bench docs reference demo lock clean

# `python3` if it is new enough, else the newest one that is installed.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && exit; done; echo python3)
BIN := .venv/bin
WORKERS ?= 2
PYTEST := $(BIN)/pytest
PYTEST_ARGS ?=

define require_python
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
  echo "motet needs Python 3.11 or newer, found $$($(PYTHON) --version 2>/dev/null || echo none) as '$(PYTHON)': set PYTHON=/path/to/python3.11" >&2; exit 1; }
endef

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(BIN)/.stamp ## make .venv from requirements.lock

# The environment is made anew, so that nothing dropped from the lock stays importable. The lock is
# complete: without --no-deps, older pips look `coverage[toml]` up anew and fail on its new releases.
$(BIN)/.stamp: requirements.lock pyproject.toml
	$(require_python)
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# Standard library only, so that the servers can start before, and without, `make setup`.
services: ## install and start the servers that tests use: Redis, RabbitMQ, PostgreSQL, Mosquitto, Kafka
	$(require_python)
	@$(PYTHON) -m scripts.services start

services-stop: ## stop what `make services` has started
	@$(PYTHON) -m scripts.services stop

fmt: setup ## format, and mend what ruff can mend
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

lint: setup ## ruff, import contracts, module sizes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/python scripts/check_sizes.py

types: setup ## mypy --strict
	$(BIN)/mypy

test: setup ## the whole suite
	$(PYTEST) -n $(WORKERS) $(PYTEST_ARGS)

contract: setup ## what every backend promises
	$(PYTEST) tests/contract $(PYTEST_ARGS)

sim: setup ## seeded simulations
	$(PYTEST) -n $(WORKERS) -m sim $(PYTEST_ARGS)

bench: setup ## measure this machine, one JSON line per case
	$(BIN)/motet bench pipeline --json

docs: setup ## run what the documentation shows
	$(PYTEST) tests/docs $(PYTEST_ARGS)

reference: setup ## write the parts of docs/reference that the code knows
	$(BIN)/python -m scripts.make_reference

demo: setup ## run the example application to its end; `motet demo` goes on with its API
	$(BIN)/motet demo --exit

# `make lock LOCK_ARGS=--upgrade` moves every pin; without it only what pyproject.toml asks for.
# No address of an index is written, so the lock installs from any mirror.
lock: $(BIN)/python ## pin runtime and dev dependencies with hashes
	$(BIN)/python -m pip install -q --disable-pip-version-check uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --custom-compile-command 'make lock' $(LOCK_ARGS) --group dev pyproject.toml -o requirements.lock

$(BIN)/python:
	$(require_python)
	$(PYTHON) -m venv .venv

clean: ## remove .venv, caches and build output
	rm -rf .venv .motet build dist htmlcov .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find src tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +
