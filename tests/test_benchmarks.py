"""`python -m benchmarks`: its rows; and what a machine with a GPU is asked to run, tried on the CPU without the packages that it lacks."""

import inspect
import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from benchmarks.__main__ import ROWS

ROOT = Path(__file__).resolve().parents[1]
LACKING = ("lm_eval", "vllm", "datasets", "pydantic", "jsonlines", "ahocorasick_rs", "wordfreq")
BARE = f"""
import runpy, sys
for name in {LACKING}:
    sys.modules[name] = None
sys.argv = ["benchmarks", "gpu", "--tiny", "--out", sys.argv[1]]
runpy.run_module("benchmarks", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize("row", ROWS)
def test_every_row_takes_what_it_is_run_with(row):
    module, options = ROWS[row]
    inspect.signature(import_module(f"benchmarks.{module}").run).bind(**options)


def test_an_unknown_row_is_a_sentence():
    done = subprocess.run([sys.executable, "-m", "benchmarks", "speed"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and "unknown row 'speed'; available: import_time, " in done.stderr


def test_one_command_on_a_bare_machine(tmp_path):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", BARE, str(tmp_path)], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    results = {one.pop("part"): one for one in json.loads((tmp_path / "gpu.json").read_text())["results"]}
    assert not [one for one in results.values() if "failed" in one["seen"]]
    for part in ("label", "generate, 64 rows", "generate, all rows", "fine-tune", "fine-tune, LoRA"):
        assert results[part]["tokens/s"] > 0 and 0 < results[part]["share of peak"] < 1
    minutes = {
        name: results[name]["minutes for the paper's text"] for name in ("label", "fine-tune", "the paper's method")
    }
    assert minutes["the paper's method"] == pytest.approx(minutes["label"] + minutes["fine-tune"] * 5 / 2)


def test_without_a_gpu_it_says_so():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "gpu"], cwd=ROOT, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""}, capture_output=True, text=True
    )  # fmt: skip
    assert done.returncode == 2 and "needs an NVIDIA GPU" in done.stderr and "Traceback" not in done.stderr
