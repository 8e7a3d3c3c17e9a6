# Both main commands set everything up first: one .venv from pyproject.toml and constraints.txt.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test test-long hub-conformance lint types setup clean

setup: $(VENV)/ready

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("voxtune needs Python 3.11 or newer; name one with: make PYTHON=python3.12 ..." if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[studio,train,dev]'
	touch $@

demo: setup
	$(BIN)/voxtune demo

# Two at a time: most tests wait for programs that they started. What fails so, where a machine is slow and a page waits for its turn, must pass alone.
test: setup
	$(BIN)/python -m pytest -n 2 --dist loadscope || $(BIN)/python -m pytest --last-failed --last-failed-no-failures none

test-long: setup
	$(BIN)/python -m pytest -m long

hub-conformance: setup
	$(BIN)/python -m tests.hub.conformance

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

clean:
	rm -rf $(VENV) build dist
