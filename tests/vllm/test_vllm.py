"""The same checkpoint by `lm_eval --model hf` and by `lm_eval --model vllm`: the same numbers. Real vLLM, on the CPU."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import tiny

pytestmark = pytest.mark.vllm

SETTINGS = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
MODEL_ARGS = {"hf": "dtype=float32", "vllm": "dtype=float32,max_model_len=512,enforce_eager=True"}
LIMIT = 30


@dataclass(frozen=True)
class Run:
    """What one `lm_eval` wrote: results, and per task its samples in the order of the prompts."""

    results: dict
    samples: dict[str, list[dict]]


def lm_eval(engine: str, model: Path, folder: Path) -> Run:
    """Plain `lm_eval`, from a folder of its own."""
    folder.mkdir()
    done = subprocess.run(
        [
            *(sys.executable, "-m", "lm_eval", "run", "--model", engine),
            *("--model_args", f"pretrained={model},{MODEL_ARGS[engine]}", "--device", "cpu", "--batch_size", "16"),
            *("--tasks", "hp_bench,hp_familiarity", "--limit", str(LIMIT), "--output_path", "out", "--log_samples"),
        ],
        cwd=folder, env={**os.environ, **SETTINGS}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    (results,) = (folder / "out").rglob("results_*.json")
    samples = {}
    for task in ("hp_familiarity", "hp_token_probability"):
        (path,) = (folder / "out").rglob(f"samples_{task}_*.jsonl")
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        samples[task] = sorted(rows, key=lambda row: row["doc_id"])
    return Run(json.loads(results.read_text())["results"], samples)


@pytest.fixture(scope="module", params=["byte_bpe", "metaspace_bpe"])
def runs(request, tmp_path_factory) -> tuple[Run, Run]:
    """A tokenizer that adds no BOS, and one that does."""
    folder = tmp_path_factory.mktemp(request.param)
    model = tiny.save(folder / "model", request.param)
    return lm_eval("hf", model, folder / "hf"), lm_eval("vllm", model, folder / "vllm")


def test_both_answered_every_prompt(runs):
    for run in runs:
        assert {task: len(rows) for task, rows in run.samples.items()} == dict.fromkeys(run.samples, LIMIT)
        assert {run.results[task]["unscored,none"] for task in run.samples} == {0}


def test_log_likelihoods_agree(runs):
    hf, vllm = (
        [[float(response[0][0]) for response in row["resps"]] for row in run.samples["hp_token_probability"]]
        for run in runs
    )
    assert min(len(row) for row in hf) >= 8
    for ours, theirs in zip(hf, vllm, strict=True):
        assert theirs == pytest.approx(ours, abs=1e-4)


def test_completions_are_equal_up_to_an_incomplete_character_at_the_end(runs):
    """hf prints the beginning of a character as U+FFFD, vLLM withholds it."""
    hf, vllm = ([row["resps"][0][0].rstrip("\ufffd") for row in run.samples["hp_familiarity"]] for run in runs)
    assert vllm == hf
    assert sum(len(text) > 20 for text in hf) > LIMIT / 2


def test_grades_and_metrics_agree(runs):
    hf, vllm = (
        [json.loads(row["filtered_resps"][0])["grade"] for row in run.samples["hp_familiarity"]] for run in runs
    )
    assert vllm == hf
    hf, vllm = (run.results for run in runs)
    for task, metrics in (
        ("hp_familiarity", ("familiarity", "explicit", "thematic")),
        ("hp_token_probability", ("token_probability", "token_probability_share")),
    ):
        for metric in metrics:
            assert vllm[task][f"{metric},none"] == pytest.approx(hf[task][f"{metric},none"], abs=1e-4)
