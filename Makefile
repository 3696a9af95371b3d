# Every target works from a fresh clone with nothing but Python 3.11 or newer: the
# environment in .venv is built on first use and again whenever setup.cfg changes.

PYTHON ?= python3
# A PYTHON given by the caller is used or refused; by default newer names are tried too.
ifeq ($(origin PYTHON),file)
CANDIDATES := $(PYTHON) python3.13 python3.12 python3.11 python3.14
else
CANDIDATES := $(PYTHON)
endif

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PACKAGES := protocol storage chatd clients

.PHONY: help run demo test lint bench proof format clean
.DELETE_ON_ERROR:

help:
	@echo "make run     start the server with its defaults (data in your user data folder)"
	@echo "make demo    two people chat, the server is killed, nothing is lost"
	@echo "make test    the whole suite"
	@echo "make lint    ruff and mypy --strict"
	@echo "make bench   speed and memory figures"
	@echo "make proof   kill -9 in the middle of traffic, again and again"
	@echo "make format  rewrite the sources in the project's format"

$(STAMP): setup.cfg pyproject.toml
	@found=; \
	for name in $(CANDIDATES); do \
	    if command -v "$$name" >/dev/null 2>&1 && \
	       "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; \
	    then found=$$name; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	    echo "chatd needs Python 3.11 or newer; tried: $(CANDIDATES)." >&2; \
	    echo "Install one (Debian, Ubuntu: apt install python3 python3-venv; macOS: brew install python)" >&2; \
	    echo "or name one you have: make PYTHON=/path/to/python3.12 <target>" >&2; \
	    exit 1; \
	fi; \
	"$$found" -m venv --clear $(VENV) || { \
	    echo "$$found cannot make a virtual environment." >&2; \
	    echo "On Debian and Ubuntu: apt install python3-venv" >&2; \
	    exit 1; \
	}
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	@touch $@

run: $(STAMP)
	@echo "Let people in, from another terminal here: $(BIN)/chatd invite"
	$(BIN)/chatd run

demo: $(STAMP)
	$(BIN)/python -m tests.demo

test: $(STAMP)
	$(BIN)/python -m pytest

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict $(PACKAGES) tests

bench: $(STAMP)
	$(BIN)/python -m tests.bench

proof: $(STAMP)
	$(BIN)/python -m tests.faults

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
