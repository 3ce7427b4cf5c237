# Every target works from a bare clone: it makes .venv first. Override the interpreter with `make PYTHON=python3.12 test`.
PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
READY  := $(VENV)/.ready
WORKERS ?= 2
CORE    := tests/test_profile.py tests/test_ownership.py tests/test_reference*.py tests/test_report.py tests/test_files.py \
	tests/test_graphs.py tests/test_lock.py tests/torture

.PHONY: help demo test test-all torture audit oldest lint format bench study zoo zoos graphs versus wheel clean
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --upgrade pip
	$(PY) -m pip install --quiet --editable '.[dev]'
	@touch $(READY)

demo: $(READY) ## count the depthwise separable LeNet, layer by layer, and beside the regular one
	$(PY) -m opcount lenet.models:Depthwise
	$(PY) -m opcount lenet.models:Regular lenet.models:Depthwise --no-bias --only conv

test: $(READY) ## the everyday tests
	$(PY) -m pytest -n $(WORKERS) -m 'not slow' --cov --cov-report=term:skip-covered

test-all: $(READY) ## every test, the slow ones too
	$(PY) -m pytest -n $(WORKERS) --hypothesis-profile=thorough

torture: $(READY) ## faults, hostile models, inputs and disks in great number; goes on where it ended; figures of docs/reliability.md
	$(PY) -m benchmarks.torture --write --workers $(WORKERS)

lint: $(READY) ## formatting, lint, types, import contracts, the LeNets' figures as locked
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports
	$(PY) -m opcount check

audit: $(READY) ## what bandit says of the code, and known vulnerabilities of what is installed (asks pypi.org)
	$(PY) -m pip install --quiet 'bandit>=1.8' 'pip-audit>=2.7'
	$(VENV)/bin/bandit --quiet --recursive opcount lenet pytest_opcount.py -ll
	$(PY) -m pip freeze --local --exclude-editable > $(VENV)/installed.txt
	$(VENV)/bin/pip-audit --strict --no-deps --disable-pip --requirement $(VENV)/installed.txt

oldest: ## the tests of the core with the oldest packages that are supported; needs a Python of 3.10 to 3.12
	$(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/python -m pip install --quiet --requirement tests/oldest.txt
	.venv-oldest/bin/python -m pip install --quiet --no-deps --editable .
	.venv-oldest/bin/python -m pytest -n $(WORKERS) -m 'not slow' $(CORE)

format: $(READY) ## put the code into shape
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

bench: $(READY) ## what the README says of speed and exactness, measured again
	$(PY) -m benchmarks.lenet --write
	$(PY) -m benchmarks.energy --write
	$(PY) -m benchmarks.import_time --write
	$(PY) -m benchmarks.speed --write
	$(PY) -m benchmarks.tally --write
	$(PY) -m benchmarks.meter --write
	$(PY) -m benchmarks.sweep --write

study: $(READY) ## train both networks of the study and write the report, some minutes (downloads MNIST)
	$(PY) -m lenet.train

zoo: $(READY) ## every model of torchvision against its published figure, a few minutes
	$(PY) -m benchmarks.zoo --write

versus: $(READY) ## what other counters say of torchvision's models, those that are installed in .venv
	$(PY) -m benchmarks.versus --write

zoos: $(READY) ## models of timm and transformers against FlopCounterMode; goes on where it was stopped, an hour
	$(PY) -m benchmarks.timm_zoo --write
	$(PY) -m benchmarks.transformers_zoo --write

graphs: $(READY) ## torchvision live, exported and as ONNX, side by side; goes on where it ended
	$(PY) -m benchmarks.graphs --write

wheel: $(READY) ## build the wheel into dist/
	$(PY) -m build --wheel

clean: ## remove what the targets made
	rm -rf $(VENV) .venv-oldest .torture.jsonl dist .coverage .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
