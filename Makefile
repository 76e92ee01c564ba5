# Every target works on a fresh machine with Python 3.11 or newer: it makes its own environment first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed

.PHONY: demo test mbpoll check bench clean

$(READY): setup.cfg pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "egw needs Python 3.11 or newer; run: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV) 2>/dev/null \
		|| { echo "Python's venv module is missing; run: apt-get install python3-venv"; exit 1; }
	@echo "Installing egw and what it needs into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(READY)
	$(BIN)/egw demo

test: $(READY) mbpoll
	$(BIN)/python -m pytest

# An independent Modbus master, with which the tests compare egw.
mbpoll:
	@command -v mbpoll >/dev/null || { \
		echo "Installing mbpoll, with which the tests compare egw ..."; \
		root=$$([ "$$(id -u)" = 0 ] || echo sudo); \
		$$root apt-get install -y -qq mbpoll >/dev/null 2>&1 \
		|| { $$root apt-get update -qq && $$root apt-get install -y -qq mbpoll >/dev/null; } \
		|| echo "It could not be installed: the tests that need it are skipped."; }

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(READY)
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) build *.egg-info
