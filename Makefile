# Every target sets up what it needs in .venv and nothing outside it.
# PYTHON: the interpreter to build the environment with (3.11 or newer).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := setup.py pyproject.toml $(wildcard engine/*.pyx engine/*.pxd engine/*.h)

.PHONY: demo test lint sanitize bench clean

demo: $(VENV)/built
	$(BIN)/fendan demo

test: $(VENV)/built
	$(BIN)/python -m pytest

lint: $(VENV)/built
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python tests/check_stubs.py

# A second build beside the first, and the tests that judge the core. Leaks are not looked for:
# Python itself has many.
SANITIZED := build/sanitized
JUDGES := arrays bad_input engine_machine exactness geo orders scale threads
sanitize: $(VENV)/built
	FENDAN_SANITIZE=1 $(BIN)/python setup.py --quiet build --build-base build/sanitize \
		--build-lib $(SANITIZED)
	PYTHONPATH=$(SANITIZED) LD_PRELOAD="$$(cc -print-file-name=libasan.so)" \
		ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1 \
		$(BIN)/python -m pytest $(JUDGES:%=tests/test_%.py)

bench: $(VENV)/built
	$(BIN)/python benchmarks/metro.py
	$(BIN)/python -m pytest benchmarks

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# Built again only when a source of the engine, or the build itself, has changed.
$(VENV)/built: $(VENV)/bin/python $(SOURCES)
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@

clean:
	rm -rf $(VENV) build dist bindings/*.egg-info engine/*.so
