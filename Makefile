# Two commands matter: `make demo` and `make test`. Both need python3 and make, nothing else.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

BENCH_STAMP := $(VENV)/.installed-bench
BENCH  := build/bench

.PHONY: demo test check lint types imports generated bench lock proto clean help

help:            ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/  /'

# Installed once: again only when what is installed has changed.
$(STAMP): constraints.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -c 'import sys; sys.exit("lmtest needs Python 3.11 or newer, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(BENCH_STAMP): constraints-bench.txt $(STAMP)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r constraints-bench.txt
	@touch $@

demo: $(STAMP)   ## record, replay, audit and bill two DSPy programs
	@$(BIN)/python examples/demo.py

test: $(STAMP)   ## the whole suite
	@$(BIN)/python -m pytest -n 2 --dist loadgroup

check: lint types imports generated  ## what CI checks beside the tests

lint: $(STAMP)
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: $(STAMP)
	@$(BIN)/mypy

imports: $(STAMP)
	@$(BIN)/lint-imports

generated: $(STAMP)
	@$(BIN)/python scripts/generate_proto.py --check

bench: $(BENCH_STAMP)  ## every benchmark, with plots in build/bench; one alone: make bench-cassette ARGS=--full
	@mkdir -p $(BENCH)
	$(BIN)/python benchmarks/worker_state.py --json $(BENCH)/worker_state.json
	$(BIN)/python benchmarks/worker_scaling.py --json $(BENCH)/worker_scaling.json
	$(BIN)/python benchmarks/plots.py $(BENCH)
	$(BIN)/python benchmarks/replay.py
	$(BIN)/python benchmarks/cassette.py
	$(BIN)/python benchmarks/pytest_plugin.py
	$(BIN)/python benchmarks/signatures.py
	$(BIN)/python benchmarks/ledger.py
	$(BIN)/python benchmarks/worker_executions.py
	$(BIN)/python benchmarks/audit.py

bench-%: $(BENCH_STAMP)
	@$(BIN)/python benchmarks/$*.py $(ARGS)

proto: $(STAMP)  ## regenerate python_worker/v1 from proto/
	@$(BIN)/python scripts/generate_proto.py

lock: $(STAMP)   ## pin everything anew, with hashes and without an index
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --strip-extras --generate-hashes --no-emit-index-url \
	    --no-header --extra dev --extra http --extra worker --upgrade --output-file constraints.txt pyproject.toml
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --strip-extras --generate-hashes --no-emit-index-url \
	    --no-header --group bench --constraints constraints.txt --upgrade --output-file constraints-bench.txt

clean:
	rm -rf $(VENV) .lmtest
