# Every target first sets up what it needs, in .venv. On a fresh machine Python 3.11 or later and make are enough.
# The first of these that runs and is new enough; an old one may hide behind `python3`.
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3; do \
	  $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes
ARGS ?=
# The container engine: docker, or podman, which drops the health check unless it writes docker's format.
ENGINE ?= docker
export BUILDAH_FORMAT := docker

.PHONY: demo test lint bench faults simulate alerts soak pictures image image-test

demo: $(VENV)/.installed
	@$(BIN)/harvest-monitor demo $(ARGS)

# Python may keep the compiled tests here, even where the environment forbids it: each worker reads all of them.
test: $(VENV)/.installed-dev
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder $(ARGS)

# Takes a quarter of an hour; prints the table in docs/reliability.md.
faults: $(VENV)/.installed-dev
	@$(BIN)/python -m tests.faults $(ARGS)

# Prints the table of waves in docs/notices.md; ARGS=--whole takes hours.
simulate: $(VENV)/.installed-dev
	@$(BIN)/python -m tests.simulation $(ARGS)

# Makes every alert fire in a real Prometheus, in half an hour.
alerts: $(VENV)/.installed-dev
	@$(BIN)/python -m tests.firing $(ARGS)

soak: $(VENV)/.installed-dev
	@$(BIN)/python -m tests.faults.soak $(ARGS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.installed-dev
	@$(BIN)/python -m tests.bench $(ARGS)

# README's pictures, in docs/images; two minutes. It takes Debian's chromium, too.
pictures: $(VENV)/.installed-dev
	@$(BIN)/python -m tests.pictures $(ARGS)

image:
	$(ENGINE) build $(ARGS) --tag harvest-monitor .

image-test: $(VENV)/.installed-dev
	ENGINE="$(ENGINE)" IMAGE_ARGS="$(ARGS)" $(BIN)/python -m pytest tests/image

$(VENV)/.created:
	@command -v "$(PYTHON)" >/dev/null || { echo "$(or $(PYTHON),Python 3.11 or later) is not installed; or name another: make PYTHON=/path/to/python3 demo"; exit 1; }
	@echo "making $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.created requirements.lock requirements-build.lock pyproject.toml
	@echo "installing (a minute, once)"
	@$(INSTALL) -r requirements.lock -r requirements-build.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.lock
	@echo "installing what the tests need (a minute, once)"
	@$(INSTALL) -r requirements-dev.lock
	@touch $@
