# Every way into the project. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= 2
ON_A_DATABASE := $(addprefix tests/,access api attacks audit contracts gateway promises races server store)

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-whole test-postgres test-real real-servers soak lint format bench bench-cut bench-redaction bench-redaction-others bench-who-saw bench-policy-others eval-redaction lock clean

help: ## Show this list
	@grep -hE '^[a-z%-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

# The stamp makes a second `make setup` free and a changed lock file enough to run it again.
$(VENV)/.stamp: requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("loglease needs Python 3.11 or newer, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

setup: $(VENV)/.stamp ## Make .venv with the `loglease` command in it

demo: setup ## Run the main job on real logs; ARGS=--exit ends after the walk
	$(BIN)/loglease demo $(ARGS)

test: setup ## Run all tests that need nothing but Python
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal --ignore=tests/real tests $(ARGS)

# Long searches take few examples, rounds, seeds and steps in `make test`; tests/volume.py says which.
test-whole: setup ## Run those tests once more that try less in `make test`, with whole numbers
	TEST_VOLUME=whole $(BIN)/python -m pytest -n $(JOBS) --dist worksteal --ignore=tests/real -m volume tests $(ARGS)

test-postgres: setup ## Run the tests that use a database once more, on a real PostgreSQL
	DATABASE_UNDER_TEST=postgresql $(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(ON_A_DATABASE) $(ARGS)

real-servers: ## Install what the real-server tests need and this machine can get
	tests/real/install
	tests/real/install-log-stores

test-real: setup ## Run the tests that need real servers or a real browser
	$(BIN)/python -m pytest tests/real $(ARGS)

lint: setup ## Format check, lint, types, import contracts, dependencies
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry src

format: setup ## Format and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

soak: setup ## Let faults befall servers under load and judge what is left; ARGS="--minutes 30 --seed N --servers 3"
	$(BIN)/python -m tests.soak $(ARGS)

bench: setup ## Run every benchmark and print one table
	$(BIN)/python -m bench

bench-%: setup ## Run one benchmark, such as bench-read or bench-cut
	$(BIN)/python -m bench $*

bench-cut: setup ## Measure how fast acts reach open tails; ARGS="--tails 1000 --rate 0.2 --servers 1,3"
	$(BIN)/python -m bench.cut $(ARGS)

bench-redaction: setup ## Measure redaction against its goals; ARGS=--quick for a fast look
	$(BIN)/python -m bench.redaction $(ARGS)

# Other tools have dependencies of their own: they never share an environment with ours.
bench-redaction-others: setup ## Compare redaction with detect-secrets, Presidio and scrubadub, from .bench-venv
	test -x .bench-venv/bin/python || $(PYTHON) -m venv .bench-venv
	.bench-venv/bin/python -m pip install --quiet --disable-pip-version-check -r bench/redacting/others.txt
	$(BIN)/python -m bench.redacting.comparison .bench-venv/bin/python $(ARGS)

bench-who-saw: setup ## Ask who saw what over a large log; ARGS=--entries=10000000 takes half an hour and 15 GB
	$(BIN)/python -m bench.who_saw $(ARGS)

bench-policy-others: setup ## Compare decisions with CEL and Cedar, which is installed into a folder of its own
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target .bench-cedar -r bench/deciding/others.txt
	PYTHONPATH=.bench-cedar:. $(BIN)/python -m bench.policy $(ARGS)

eval-redaction: setup ## Count what redaction finds in labelled texts and real logs outside the project; ARGS=FOLDER
	$(BIN)/python -m bench.eval_redaction $(ARGS)

lock: ## Resolve and pin all dependencies, with hashes and without addresses
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --exclude-newer "1 week" --no-header \
	    --no-emit-index-url --quiet pyproject.toml -o requirements/runtime.txt
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --exclude-newer "1 week" --no-header \
	    --no-emit-index-url --quiet --group dev -c requirements/runtime.txt pyproject.toml -o requirements/dev.txt

clean: ## Remove what the commands above made
	rm -rf $(VENV) .bench-venv .bench-cedar .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
