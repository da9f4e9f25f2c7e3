# Two commands matter: `make demo` and `make test`. Both need python3 and make, nothing else.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: demo test check lint types imports generated lock proto clean help

help:            ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/  /'

# Installed once: again only when what is installed has changed.
$(STAMP): constraints.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -c 'import sys; sys.exit("lmtest needs Python 3.11 or newer, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
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

proto: $(STAMP)  ## regenerate python_worker/v1 from proto/
	@$(BIN)/python scripts/generate_proto.py

lock: $(STAMP)   ## pin everything anew, with hashes and without an index
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --strip-extras --generate-hashes --no-emit-index-url \
	    --no-header --extra dev --extra http --extra worker --upgrade --output-file constraints.txt pyproject.toml

clean:
	rm -rf $(VENV) .lmtest
