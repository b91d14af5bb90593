# astrod: `make` alone lists the verbs.

SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SIMULATORS := .venv-alpaca
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
SITE ?= pujalt
DATE ?= 2026-12-14
SEED ?= 7
NIGHTS ?= 20
JOBS ?= 2

# What Debian and Raspberry Pi OS must have: INDI's server and simulators, and what two libraries compile against.
PACKAGES := indi-bin gcc python3-dev python3-venv pkg-config libdbus-1-dev libglib2.0-dev libsystemd-dev

# What only tests ask for: they skip without it.
TEST_PACKAGES := strace faketime mosquitto astrometry.net astrometry-data-tycho2-10-19-littleendian

.PHONY: help run night test check bench soak mutants kills models clean system test-system

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/ready ## set up what is missing and observe tonight, where it is dark now
	@$(BIN)/astrod demo

night: $(VENV)/ready ## play a whole night on the simulated clock (SITE=, DATE=, SEED=)
	@$(BIN)/astrod night --site $(SITE) --date $(DATE) --seed $(SEED)

test: check test-system $(SIMULATORS)/ready ## pass every test (fourteen minutes on two cores)
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 5 --dist loadgroup --no-loadscope-reorder

check: $(VENV)/ready ## style, types, floors
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: $(VENV)/ready ## measure speed and memory; prints, asserts nothing
	$(BIN)/python -m tests.bench

soak: $(VENV)/ready ## play many nights of random sites, weather and faults (NIGHTS=, SEED=, JOBS=)
	@$(BIN)/astrod soak --nights $(NIGHTS) --seed $(SEED) --jobs $(JOBS) --json

mutants: $(VENV)/ready ## change safety and conductor line by line; do the tests notice? (JOBS=; an hour, goes on where it was)
	$(PIP) install --quiet --constraint constraints.txt --editable '.[mutants]'
	nice $(BIN)/python -m tests.mutants --jobs $(JOBS)

kills: $(VENV)/ready ## kill daemon, server and drivers 200 times (SEED=)
	$(BIN)/python -m tests.kills --seed $(SEED)

models: $(VENV)/ready ## train all models again from scratch
	$(PIP) install --quiet --constraint constraints.txt --editable '.[train]'
	$(BIN)/python -m training.quality
	$(BIN)/python -m training.reference quality
	$(BIN)/python -m training.anomaly
	$(BIN)/python -m training.meteor
	$(BIN)/python -m training.cloud
	$(BIN)/python -m training.realbogus

clean: ## remove what the other verbs made, the demonstration's frames too
	rm -rf $(VENV) $(SIMULATORS) .mutants demo build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

system:
	@PACKAGES="$(PACKAGES)" bash systemd/packages

test-system:
	@PACKAGES="$(TEST_PACKAGES)" bash systemd/packages

$(VENV)/ready: pyproject.toml constraints.txt hatch_build.py $(wildcard daemon/astrod/planning/_*.[ch]) | system
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --constraint constraints.txt --editable '.[indi,alpaca,systemd,mqtt,dev]' || { \
	  echo "astrod: without the system's packages INDI and systemd are left out; the simulated rig runs all the same"; \
	  $(PIP) install --quiet --constraint constraints.txt --editable '.[alpaca,mqtt,dev]'; }
	@touch $@

# An Alpaca server of somebody else, for the contract tests. It stays out of our own libraries; without it they skip.
$(SIMULATORS)/ready: Makefile
	@test -x $(SIMULATORS)/bin/python || $(PYTHON) -m venv $(SIMULATORS)
	@$(SIMULATORS)/bin/python -m pip --disable-pip-version-check --no-input install --quiet alpaca-simulators==1.3.2 \
	  && touch $@ || echo "astrod: alpaca-simulators cannot be installed; the tests that need it skip"
