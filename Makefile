# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

# Needs uv or Python 3.12 (on PATH or under pyenv). Everything is installed into .venv.

EXTRAS ?= cpu,sbx,dev,docs
ARGS ?=
# tests at a time
JOBS ?= 2
PYTHON := .venv/bin/python

# thousands of modules would be compiled anew at every start of a simulation
unexport PYTHONDONTWRITEBYTECODE

# Python reads the path of the checkout in the locale's encoding, which has to know all of its letters
ifneq ($(shell locale charmap 2>/dev/null),UTF-8)
export LC_ALL := C.UTF-8
endif

# pyright: no look-up of its newest version
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.DEFAULT_GOAL := help
.PHONY: help install demo test test-fast lint format bench docs clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "Variables: EXTRAS=$(EXTRAS) (what to install), ARGS (further arguments of pytest, the demo and the benchmark), JOBS=$(JOBS) (tests at a time)"

install: ## make or update the environment .venv (quick when it is up to date)
	@EXTRAS='$(EXTRAS)' bash scripts/tools/install.sh

demo: install ## run the demo
	$(PYTHON) scripts/demo.py $(ARGS)

test: install ## run all tests that this machine can run
	OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(PYTHON) -m pytest -n $(JOBS) --dist loadgroup $(ARGS)

test-fast: install ## run the quick tests that need no simulator
	OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(PYTHON) -m pytest -n $(JOBS) -m "unit and not slow" $(ARGS)

lint: install ## check style, format, types and version numbers
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m pyright
	$(PYTHON) scripts/tools/check_versions.py

format: install ## sort imports, apply ruff's fixes, format
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

bench: install ## measure the simulation's speed on this machine
	$(PYTHON) scripts/benchmark.py simulation $(ARGS)

docs: install ## build the documentation into docs/_build/html
	$(PYTHON) -m sphinx -W --keep-going -b html docs docs/_build/html

clean: ## remove build outputs and caches (keeps .venv and logs)
	rm -rf build dist docs/_build .pytest_cache .ruff_cache .hypothesis
	find config docs scripts source tests -type d -name __pycache__ -prune -exec rm -rf {} +
