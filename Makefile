# `make help` lists the targets. `demo` and `test` need Python 3.11+, git and make, nothing else.
#
# The environment is .venv, made once from requirements/*.lock (pinned, with hashes) and made again
# when a lock changes: the stamps below say which set it holds.

PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2
PYTEST_ARGS ?=

BIN := $(VENV)/bin
LOWEST := .venv-lowest
PIP_FLAGS := --quiet --disable-pip-version-check --no-compile --require-hashes
COMPILE := $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 \
	--generate-hashes --no-header --no-emit-index-url --no-emit-find-links

.DEFAULT_GOAL := help
.PHONY: help demo test check lint fast spark test-lowest bench docs lock clean
.DELETE_ON_ERROR:

help:  ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

demo: $(VENV)/.runtime  ## simulate a city, build it, answer, write a report (./prodsense-demo)
	@$(BIN)/prodsense demo delivery

test: $(VENV)/.dev  ## every test that this machine can run (the others say why they are skipped)
	@$(BIN)/python -m pytest -q -n $(WORKERS) $(PYTEST_ARGS)

check: lint fast  ## lint, types and the fast tests; PYTEST_ARGS=tests/metrics for one folder

lint: $(VENV)/.dev  ## ruff and mypy
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary

# Of packs what holds of every pack, and the folders of those that were changed since the last commit: the loop of who
# works on one thing must not grow with the number of packs.
METHOD_TESTS = $(filter-out tests/packs/ tests/real/ tests/__pycache__/,$(wildcard tests/*/)) $(wildcard tests/test_*.py) \
	$(wildcard tests/packs/test_*.py)
CHANGED_PACKS = $(shell git status --porcelain -uall 2>/dev/null | sed -n 's#.* \(src/prodsense\|tests\)/packs/\([a-z]*\)/.*#tests/packs/\2#p' | sort -u)

fast: $(VENV)/.dev  ## the tests without those marked slow, spark or browser, of packs those you changed
	@$(BIN)/python -m pytest -q -n $(WORKERS) -m "not slow and not spark and not browser" $(PYTEST_ARGS) \
		$(if $(findstring tests/,$(PYTEST_ARGS)),,$(METHOD_TESTS) $(CHANGED_PACKS))

spark: $(VENV)/.spark  ## add PySpark to the environment, so that `make test` runs on Spark too (needs Java 17+)

# One pack whole, and of the others what holds of every pack: they differ in their definitions, not in what they call.
LOWEST_TESTS = $(METHOD_TESTS) tests/real tests/packs/delivery

test-lowest: $(LOWEST)/.dev  ## fast tests on the lowest versions that pyproject.toml allows
	@$(LOWEST)/bin/python -m pytest -q -n $(WORKERS) -p no:cacheprovider \
		-m "(not slow or versions) and not spark and not browser" $(PYTEST_ARGS) $(LOWEST_TESTS)

bench: $(VENV)/.dev  ## measure against peers; prints a table (benchmarks/README.md)
	@for run in benchmarks/*/run.py; do echo "== $$run"; $(BIN)/python $$run || exit 1; done

docs: $(VENV)/.dev  ## write the generated pages of docs/ anew, and the demo's output in the README
	@$(BIN)/python docs/generate.py --demo

lock: $(VENV)/.dev  ## refresh requirements/*.lock within the bounds of pyproject.toml
	@$(COMPILE) --upgrade --group build -o requirements/runtime.lock
	@$(COMPILE) --upgrade --group build --group dev --group browser --extra postgres -c requirements/runtime.lock \
		-o requirements/dev.lock
	@$(COMPILE) --upgrade --no-annotate --group build --group dev --group browser --extra postgres --extra spark \
		-c requirements/dev.lock -o requirements/spark.lock
	@$(COMPILE) --upgrade --resolution lowest-direct --no-annotate -o .lowest.txt
	@$(COMPILE) --upgrade --no-annotate --group build --group dev --extra postgres -c .lowest.txt \
		-o requirements/lowest.lock
	@rm -f .lowest.txt

clean:  ## remove the environments and everything that is made anew
	rm -rf $(VENV) $(LOWEST) prodsense-demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis benchmarks/out
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# --- environments ------------------------------------------------------------------------------

define make_venv
	@command -v "$(PYTHON)" >/dev/null 2>&1 || { \
		echo "prodsense needs Python 3.11 or newer: $(PYTHON) is not on the PATH (try: make PYTHON=python3.12 ...)" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "prodsense needs Python 3.11 or newer: $(PYTHON) is $$("$(PYTHON)" --version 2>&1) (try: make PYTHON=python3.12 ...)" >&2; exit 1; }
	@test -x $(1)/bin/python || { echo "Making the environment $(1)"; "$(PYTHON)" -m venv $(1); }
endef

# $(1) environment, $(2) lock. The package itself goes in editable; its build backend is in the lock. All is compiled
# once, on all cores: where bytecode is not kept (PYTHONDONTWRITEBYTECODE), each start would compile it again.
define install
	$(call make_venv,$(1))
	@echo "Installing $(2) into $(1)"
	@$(1)/bin/python -m pip install $(PIP_FLAGS) -r $(2)
	@$(1)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@$(1)/bin/python -m compileall -q -j 0 -x '/tests?/' $(1)/lib src >/dev/null || true
	@touch $(3)
endef

$(VENV)/.runtime: requirements/runtime.lock pyproject.toml
	$(call install,$(VENV),$<,$@)

# The development set holds the runtime set at the same versions, so it satisfies both.
$(VENV)/.dev: requirements/dev.lock pyproject.toml
	$(call install,$(VENV),$<,$@)
	@touch $(VENV)/.runtime

$(VENV)/.spark: requirements/spark.lock pyproject.toml
	$(call install,$(VENV),$<,$@)
	@touch $(VENV)/.dev $(VENV)/.runtime

$(LOWEST)/.dev: requirements/lowest.lock pyproject.toml
	$(call install,$(LOWEST),$<,$@)
