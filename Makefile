# Two commands matter: `make demo` and `make test`. Both need python3 and make, nothing else.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
BENCH  := build/bench

.PHONY: environment demo test test-newest test-oldest test-pythons check lint types imports generated bench lock proto wheel clean help

help:            ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/  /'

environment:     ## install exactly what constraints.txt pins; nothing where that is so already
	@"$(PYTHON)" scripts/setup "$(VENV)"

demo: environment   ## record, replay, audit and bill two DSPy programs
	@"$(BIN)/python" -m lmtest demo

test: environment   ## the whole suite
	@"$(BIN)/python" -m pytest -n 2 --dist loadgroup $(ARGS)

test-newest:     ## the suite on the newest releases that pyproject.toml allows
	@"$(PYTHON)" scripts/setup .venv-newest --resolution highest
	@.venv-newest/bin/python -m pytest -n 2 --dist loadgroup $(ARGS)

test-oldest:     ## the suite on the oldest releases that pyproject.toml allows
	@"$(PYTHON)" scripts/setup .venv-oldest --resolution lowest-direct
	@.venv-oldest/bin/python -m pytest -n 2 --dist loadgroup $(ARGS)

test-pythons:    ## the suite on every Python here that lmtest supports
	@"$(PYTHON)" scripts/setup --pythons | while IFS= read -r python; do \
	    version=$$("$$python" -c 'import platform; print(platform.python_version())'); echo "Python $$version"; \
	    $(MAKE) --no-print-directory test PYTHON="$$python" VENV=.venv-$$version < /dev/null || exit; \
	done

check: lint types imports generated  ## what CI checks beside the tests

lint: environment
	@"$(BIN)/ruff" check . && "$(BIN)/ruff" format --check .

types: environment
	@"$(BIN)/mypy"

imports: environment
	@"$(BIN)/lint-imports"

generated: environment
	@"$(BIN)/python" scripts/generate_proto.py --check

bench: environment  ## every benchmark, with plots in build/bench; one alone: make bench-cassette ARGS=--full
	@mkdir -p $(BENCH)
	"$(BIN)/python" benchmarks/worker_state.py --json $(BENCH)/worker_state.json
	"$(BIN)/python" benchmarks/worker_scaling.py --json $(BENCH)/worker_scaling.json
	"$(BIN)/python" benchmarks/plots.py $(BENCH)
	"$(BIN)/python" benchmarks/replay.py
	"$(BIN)/python" benchmarks/cassette.py
	"$(BIN)/python" benchmarks/pytest_plugin.py
	"$(BIN)/python" benchmarks/signatures.py
	"$(BIN)/python" benchmarks/tokens.py
	"$(BIN)/python" benchmarks/ledger.py
	"$(BIN)/python" benchmarks/worker_executions.py
	"$(BIN)/python" benchmarks/worker_tests.py
	"$(BIN)/python" benchmarks/audit.py
	"$(BIN)/python" benchmarks/refresh.py

bench-%: environment
	@"$(BIN)/python" benchmarks/$*.py $(ARGS)

proto: environment  ## regenerate python_worker/v1 from proto/
	@"$(BIN)/python" scripts/generate_proto.py

lock: environment   ## pin the newest releases that pyproject.toml allows, with hashes and without an index
	@"$(BIN)/python" scripts/lock.py

wheel: environment  ## build the wheel into dist
	@"$(BIN)/uv" build --quiet --wheel --no-build-isolation --python "$(BIN)/python" --out-dir dist

clean:
	rm -rf .venv .venv-* .venv.lock .lmtest
