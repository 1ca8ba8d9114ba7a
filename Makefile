# make demo     hear and see it work (ONCE=1 exits after the recording)
# make test     everything that a change is tested against
# make help     the rest

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -q --disable-pip-version-check
# torch wheels for the CPU only: make test TORCH_ARGS="--index-url https://download.pytorch.org/whl/cpu"
TORCH_ARGS ?=
PYTEST_ARGS ?= -m "not slow"
PORT ?= 8080
DOCKER ?= docker
# Recogniser in the image: embedded, paraformer or none (docs/containers.md).
BACKEND ?= embedded
# The index of torch's builds for the CPU, as uv names it.
LOCK_ARGS ?= --torch-backend cpu
IMAGE_ARGS = -f docker/Dockerfile --build-arg BACKEND=$(BACKEND) --build-arg REVISION=$$(git rev-parse HEAD)

DEMO_STAMP := $(VENV)/.installed-demo
DEV_STAMP := $(VENV)/.installed-dev

.DEFAULT_GOAL := help
.PHONY: help demo serve setup test soak test-ray checks lint types bench audit image sbom lock docs dist check-dist notices system-packages clean

help:
	@echo "make demo      the shipped recording through a live server, then the web page (ONCE=1 exits)"
	@echo "make serve     the service and its page (PORT=8080)"
	@echo "make test      lint, types, import contracts and the tests"
	@echo "make soak      the slow tests: ten-minute soaks, load, training"
	@echo "make docs      this documentation as a site, in build/site"
	@echo "make dist      wheel and sdist, in dist/; make check-dist also installs and tries them, offline"
	@echo "make notices   THIRD_PARTY_NOTICES.md and all licence texts, from what is installed"
	@echo "make test-ray  the tier of models on a Ray cluster of this machine (installs Ray: half a gigabyte)"
	@echo "make image     the container image (BACKEND=embedded, paraformer or none; DOCKER=podman)"
	@echo "make sbom      its parts, as CycloneDX, into dist/"
	@echo "make lock      exact versions and hashes of what the images hold, anew"
	@echo "make audit     known faults of what is installed, as PyPI knows them (needs its advisories)"
	@echo "make lint | types | bench | setup | clean"

demo: $(DEMO_STAMP)
	@$(BIN)/duplex demo $(if $(ONCE),--once)

serve: $(DEMO_STAMP)
	$(BIN)/duplex serve --port $(PORT)

setup: $(DEV_STAMP)

test: system-packages checks
	$(BIN)/pytest $(PYTEST_ARGS)

soak: system-packages $(DEV_STAMP)
	$(BIN)/pytest -m slow

# Half a gigabyte of Ray is not for every change.
test-ray: $(DEV_STAMP)
	$(PIP) -e ".[ray]"
	$(BIN)/pytest tests/ray

# Not a part of `make test`: it needs the network, and what it finds changes from day to day.
audit: $(DEV_STAMP)
	$(BIN)/python scripts/audit.py

checks: lint types

lint: $(DEV_STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache

types: $(DEV_STAMP)
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright

bench: $(DEV_STAMP)
	$(BIN)/duplex bench

docs: $(DEV_STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

dist: $(DEV_STAMP)
	$(BIN)/python -m build --outdir dist .

check-dist: $(DEV_STAMP)
	scripts/check-dist "$(PYTHON)"

notices: $(DEV_STAMP)
	$(PIP) -e ".[ray]"
	$(BIN)/python scripts/make_notices.py

image:
	$(DOCKER) build $(IMAGE_ARGS) -t duplex-aec$(if $(filter-out embedded,$(BACKEND)),:$(BACKEND)) .

sbom:
	$(DOCKER) build $(IMAGE_ARGS) --target sbom --output type=local,dest=dist .

lock: | $(BIN)/python
	$(PIP) uv
	scripts/lock-images $(BIN)/uv $(LOCK_ARGS)

system-packages:
	@scripts/install-system-packages

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis dist build *.egg-info

$(BIN)/python:
	@scripts/make-venv "$(PYTHON)" $(VENV)

$(DEMO_STAMP): pyproject.toml | $(BIN)/python
	@echo "Installing the service and the embedded speech recognition into $(VENV) (about a minute)"
	@$(PIP) -e ".[embedded-asr]"
	@touch $@

# torch first: the packages that follow would otherwise choose a version of their own.
$(DEV_STAMP): pyproject.toml | $(BIN)/python
	@echo "Installing the development tools into $(VENV) (torch and funasr among them: some minutes)"
	$(PIP) $(TORCH_ARGS) torch==2.13.0
	$(PIP) -e ".[dev]"
	@command -v node > /dev/null || { echo "No node for pyright: taking it from PyPI"; $(PIP) "pyright[nodejs]"; }
	@touch $(DEMO_STAMP) $@
