# Everything on a fresh machine with Python >= 3.11 and make: `make report`, `make test`, `make docs`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
OUT ?= report
OLDEST := .venv-oldest

.PHONY: report docs test test-slow test-oldest mutants bench gpu lint format clean

report: $(READY)
	$(BIN)/eigenalign report --out $(OUT)

# static pages that need no network; the gallery shows the figures of REPORT where there is one
docs: OUT = build/site
docs: REPORT ?= report
docs: $(READY)
	$(BIN)/python -m reports.site --out $(OUT) $(if $(wildcard $(REPORT)/results.json),--report $(REPORT))

# two workers share the tests, and threads of their own would only wait for each other's
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal -q

test: lint
	$(PYTEST) -m "not slow" --ignore tests/test_words.py

test-slow: $(READY)
	$(PYTEST) -m slow

# plants SAMPLE faults in each of AREAS (theory, kernels, judging, check, claims, or a path); names those unseen by tests
mutants: SEED ?= 0
mutants: SAMPLE ?= 50
mutants: $(VENV)/.mutants
	$(BIN)/python -m tests.mutants $(AREAS) --sample $(SAMPLE) --seed $(SEED)

# the fast tests with the oldest versions that pyproject.toml declares, in an environment of their own
test-oldest: $(OLDEST)/.ready
	OMP_NUM_THREADS=1 $(OLDEST)/bin/python -m pytest -n 2 --dist worksteal -q -m "not slow"

# agreement, repetition, speed and memory of the engine on this machine's CUDA device, as one JSON file
gpu: OUT = gpu.json
gpu: $(READY)
	$(BIN)/python -m tests.gpu --out $(OUT)

bench: $(READY)
	$(BIN)/pytest -q tests/benchmarks --benchmark-enable --benchmark-only --override-ini addopts=""

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest -q tests/test_words.py

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# the exact versions of constraints.txt: torch there is a CPU build or a CUDA build, as the platform has it
$(READY): pyproject.toml constraints.txt
	@echo "Installing eigenalign, PyTorch and tools into $(VENV): about 1.5 GB, more with CUDA; this takes some minutes."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs,test]'
	touch $@

$(OLDEST)/.ready: pyproject.toml oldest.txt
	$(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check -c oldest.txt -e '.[docs,test]'
	touch $@

$(VENV)/.mutants: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[mutants]'
	touch $@

clean:
	rm -rf $(VENV) $(OLDEST) report build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
