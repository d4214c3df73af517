# Everything a person does with this project by hand. "make" alone lists it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
# The tests mostly wait for servers and clocks: twice as many at once as there are processors. JOBS=0: one after the other.
# They start hundreds of programs: what is compiled is kept, even where the environment says otherwise.
JOBS ?= $(shell expr 2 '*' $$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2))
# Thousands of modules of which a few are imported: compiling them all took longer than fetching them.
SELDOM := /(infobip_api_client|twilio|phonenumbers|pip|setuptools|pygments|test|tests)/
MADE := build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.DEFAULT_GOAL := help
.PHONY: help demo test check format bench soak mutants screenshots clean

help: ## list what can be done here
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /|/' | while IFS='|' read -r name words; do printf '  make %-12s %s\n' "$$name" "$$words"; done

demo: $(VENV)/.installed-demo ## install into .venv and run the demo clinic until Ctrl-C (ARGS="--fresh --port 8080")
	@$(BIN)/clinic-dispatch demo $(ARGS)

test: $(VENV)/.installed-test ## install into .venv and run every test; what this machine lacks is named at the end (ARGS="-k csv" JOBS=0)
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(ARGS)

check: $(VENV)/.installed-test ## look at format, lint, strict types and import contracts
	@echo "Format ..." && $(BIN)/ruff format --check .
	@echo "Lint ..." && $(BIN)/ruff check .
	@echo "Types ..." && $(BIN)/mypy
	@echo "Import contracts ..." && $(BIN)/lint-imports

format: $(VENV)/.installed-test ## lay the code out and mend what can be mended by itself
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(VENV)/.installed-test ## run the benchmarks, print their ratios and write tests/benchmarks/RESULTS.md (ARGS=--full)
	@$(BIN)/python tests/benchmarks/run.py $(ARGS)

mutants: $(VENV)/.installed-test ## break each promise of the engine in a copy and see that tests notice (ARGS=G5)
	@$(BIN)/python -m tests.mutants.run $(ARGS)

soak: $(VENV)/.installed-test ## break everything for a while and compare with the gateways' ledgers (MINUTES=10 SEED=1 DATABASE=mariadb)
	@$(BIN)/python -m tests.soak --minutes $(or $(MINUTES),10) $(if $(SEED),--seed $(SEED)) $(if $(DATABASE),--database $(DATABASE)) $(ARGS)

screenshots: $(VENV)/.installed-test ## let the tests take the pictures of the README again
	@CLINIC_DISPATCH_SCREENSHOTS=1 $(BIN)/python -m pytest -m screenshots $(ARGS)

clean: ## remove the virtual environment, the demo's data (.demo) and everything that was built
	@echo "Removing $(VENV), .demo and what was built ..."
	@rm -rf $(VENV) .demo $(MADE)
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.installed-%: setup.py | $(BIN)/python
	@echo "Installing into $(VENV) with what \"$*\" needs; the first time takes a minute or two ..."
	@$(PIP) install --no-compile --editable '.[$*]'
	@$(BIN)/python -m compileall -q -j 0 -x '$(SELDOM)' $(VENV)/lib >/dev/null || true
	@touch $@

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON) here: install Python 3.11 or newer, or say which one, such as make PYTHON=/opt/python3.12/bin/python3."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is $$($(PYTHON) --version 2>&1), and Python 3.11 or newer is needed: say which one, such as make PYTHON=python3.12."; exit 1; }
	@echo "Making the virtual environment $(VENV) ..."
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "$(PYTHON) could not make a virtual environment: on Debian and Ubuntu, install python3-venv."; exit 1; }
