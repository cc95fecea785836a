# Every target sets up what it needs in .venv and nothing outside it.
# PYTHON: the interpreter to build the environment with (3.11 or newer).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := setup.py pyproject.toml $(wildcard engine/*.pyx engine/*.pxd engine/*.h) \
	$(wildcard proto/fendan/v1/*.proto)
# Tests run on all cores, those of a file together, the longest files first (tests/conftest.py); but
# sieges, which watch the memory and the time of what they besiege, two at a time and beside none but
# what is nice (.ci/run).
AT_ONCE := --numprocesses=auto --dist=loadfile --no-loadscope-reorder
SIEGES := --numprocesses=2 --dist=loadfile
# The second language of the tests, and buf; left out where there is no Node.
NODE := $(if $(shell command -v npm),tests/node/node_modules/.package-lock.json)

.PHONY: demo serve test peace sieges lint sanitize sanitized sanitize-threads bench bench-full bench-door clean

demo: $(VENV)/built
	$(BIN)/fendan demo

serve: $(VENV)/built
	$(BIN)/fendan serve --demo --data $(VENV)/demo

test:
	$(MAKE) peace
	@mkdir -p build && touch build/at-peace # .ci/run waits for it
	$(MAKE) sieges

peace: $(VENV)/built $(NODE)
	$(BIN)/python -m pytest $(AT_ONCE) --ignore-glob='*/test_hostile_*'

sieges: $(VENV)/built
	$(BIN)/python -m pytest $(SIEGES) $(wildcard tests/test_hostile_*.py)

lint: $(VENV)/built tests/node/node_modules/.package-lock.json
	tests/node/node_modules/.bin/buf lint proto
	tests/node/node_modules/.bin/buf format proto --diff --exit-code
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python tests/check_stubs.py

# A second build beside the first, and the tests that judge the core, with fewer examples. Leaks are
# not looked for: Python itself has many. GEOS throws C++ exceptions, which the sanitizer must know of from the start.
SANITIZED := build/sanitized
JUDGES := areas arrays availability bad_input breach door door_calls door_connections door_fuzz \
	engine_machine exactness exception_machine exception_recovery exceptions express frames geo intake_rules life \
	life_machine link log_damage lots lots_machine names \
	order_events orders pieces priority protocol records rejections reservations scale scraps snapshot split \
	stock_updates stores threads traffic wire
sanitized: $(VENV)/built
	FENDAN_SANITIZE=address,undefined $(BIN)/python setup.py --quiet build --build-base build/sanitize \
		--build-lib $(SANITIZED)

sanitize: sanitized
	PYTHONPATH=$(SANITIZED) LD_PRELOAD="$$(cc -print-file-name=libasan.so) $$(cc -print-file-name=libstdc++.so.6)" \
		ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1 FENDAN_HYPOTHESIS=sanitized \
		$(BIN)/python -m pytest $(AT_ONCE) $(JUDGES:%=tests/test_%.py)

# Once more for races, and the tests in which threads meet; Linux. By hand: it takes minutes, and what
# is not built here (gRPC) is not judged.
RACED := build/raced
MEETINGS := door_connections durable_threads lane threads traffic
sanitize-threads: $(VENV)/built
	FENDAN_SANITIZE=thread $(BIN)/python setup.py --quiet build --build-base build/race --build-lib $(RACED)
	PYTHONPATH=$(RACED) LD_PRELOAD="$$(cc -print-file-name=libtsan.so)" \
		TSAN_OPTIONS=ignore_noninstrumented_modules=1:suppressions=tests/threads.supp \
		setarch -R $(BIN)/python -m pytest $(MEETINGS:%=tests/test_%.py)

# What takes minutes, and all of it in under an hour; RECORD=1 writes the reports and what is made of them,
# SMOKE=1 runs the same in tiny sizes, to see that it runs, and records nothing.
measure = $(BIN)/python benchmarks/$(1).py $(if $(SMOKE),--smoke,$(if $(RECORD),--json benchmarks/$(1).json))
tables = $(if $(SMOKE),,$(if $(RECORD),$(BIN)/python benchmarks/readme.py))
QUICK := metro convenience peak basket-1 basket-2 basket-5 basket-20 sparse out-of-range
bench: $(VENV)/built
	$(call measure,metro)
	$(BIN)/python benchmarks/workloads.py $(if $(SMOKE),--smoke) $(QUICK)
	$(call measure,arrivals)
	$(BIN)/python benchmarks/instructions.py $(if $(SMOKE),,$(if $(RECORD),--record))
	$(call measure,rules)
	$(call measure,intake)
	$(call measure,waiting)
	$(call measure,service)
	$(call measure,journal)
	$(tables)

# *giant* runs where there are 13 GB of memory to spare, and else is named as not run.
bench-full: bench bench-door
	$(call measure,workloads)
	$(call measure,rivals)
	$(call measure,curves)
	$(call measure,misses)
	$(if $(SMOKE),FENDAN_BENCH_SMOKE=1) $(BIN)/python -m pytest benchmarks
	$(tables)

# Both doors of a server, besieged; minutes.
bench-door: $(VENV)/built
	$(call measure,door)

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# Built again only when a source of the engine, or the build itself, has changed.
$(VENV)/built: $(VENV)/bin/python $(SOURCES)
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@

tests/node/node_modules/.package-lock.json: tests/node/package-lock.json
	npm ci --prefix tests/node --no-audit --no-fund --ignore-scripts --loglevel=error

clean:
	rm -rf $(VENV) build dist bindings/*.egg-info engine/*.so bindings/fendan/v1/*_pb2* \
		tests/node/node_modules
