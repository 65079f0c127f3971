# `make demo` and `make test` need Python 3.11 to 3.13, make and git, and nothing else.
# PYTHON=... chooses the interpreter; ARGS=... goes to pytest.

BIN := .venv/bin
PYTEST_WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint format types imports notebooks samples bench lock clean

help: ## This list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## /\1\t/' | expand -t 12

.venv/.ready: requirements.lock pyproject.toml scripts/setup.sh
	@sh scripts/setup.sh

setup: .venv/.ready ## Create .venv and install what is locked; does nothing when nothing changed

demo: .venv/.ready ## The pipeline over samples/, a search, a trace
	@sh scripts/demo.sh

test: .venv/.ready ## All tests
	$(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist loadgroup $(ARGS)

lint: .venv/.ready ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: .venv/.ready ## Let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: .venv/.ready ## mypy, strict
	$(BIN)/mypy

imports: .venv/.ready ## The import rules between packages and stages
	$(BIN)/lint-imports

notebooks: .venv/.ready ## Execute the notebooks
	$(BIN)/python scripts/run_notebooks.py

samples: .venv/.ready ## Make the binary files of samples/ again
	$(BIN)/python scripts/make_samples.py

bench: .venv/.ready ## How fast the pipeline is on this machine, and where the time goes
	$(BIN)/python benchmarks/pipeline.py $(ARGS)

lock: ## Renew requirements.lock (needs uv)
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 \
	  --no-emit-index-url --no-emit-find-links --no-annotate --no-header --quiet \
	  $(ARGS) --output-file requirements.lock

clean: ## Remove what make and the demo have made
	rm -rf .venv .venvs .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	rm -rf dist build *.egg-info .gristmill
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
