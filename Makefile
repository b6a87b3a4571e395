# Everything sets itself up: `make demo` and `make test` need Python >= 3.11, git and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# The real data files, where they lie beside the checkout; absolute, since tests change folders.
ifneq ($(wildcard ../shared/data),)
export SWEEPER_DATA ?= $(abspath ../shared/data)
endif

# The tests in two processes: the end-to-end ones start Ray each, which takes two cores and 2 GB.
TEST_PROCESSES ?= 2

.PHONY: demo test real lint schema clean
.DEFAULT_GOAL := help

help: ## Say what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

# Made once: a second Python over the environment of a first would break it.
$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	@touch $@

demo: $(VENV)/installed ## A complete small sweep on this machine; prints the transfer matrix, writes the report
	$(BIN)/sweeper run demo
	$(BIN)/sweeper report --store runs/demo

test: $(VENV)/installed ## The test suite
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder

real: $(VENV)/installed ## The study local_files on the files in SWEEPER_DATA (FULL=1: all rows)
	$(BIN)/sweeper run local_files $(if $(FULL),--no-limits)

lint: $(VENV)/installed ## Style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

schema: $(VENV)/installed ## Write the JSON schema of a study file, for editors
	$(BIN)/python -c "from sweeper.study import schema; print(schema(), end='')" \
		> search_spaces/study.schema.json

clean: ## Remove the environment
	rm -rf $(VENV)
