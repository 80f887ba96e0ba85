"""The same checkpoint by hf, and by plain `lm_eval --model vllm` from another folder: the same numbers. Real vLLM, on the CPU."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import tiny
import torch
from lm_eval.evaluator import evaluate

from hp_bench.engines.hf import HFEngine
from hp_bench.scoring.score import load_tasks

pytestmark = pytest.mark.vllm

SETTINGS = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
TASKS = ("hp_familiarity", "hp_token_probability")
LIMIT = 20


@dataclass(frozen=True)
class Run:
    """Results, and per task its samples in the order of the prompts."""

    results: dict
    samples: dict[str, list[dict]]


def checkpoint(folder: Path, family: str) -> Path:
    """A tiny model that never says what the two engines print differently.

    Special tokens: hf leaves them out, vLLM shows them. Bytes that make no character: by whole texts or piece by piece.
    """
    tokenizer = tiny.tokenizer(family)
    model = tiny.llama(len(tokenizer))
    unsaid = [id for token, id in tokenizer.get_vocab().items() if token.startswith("<0x")] + tokenizer.all_special_ids
    with torch.no_grad():
        model.lm_head.weight[unsaid] = 0
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def by_hf(model: Path) -> Run:
    """In this process, by lm-eval's API."""
    engine = HFEngine(model, device="cpu", dtype="float32")
    found = evaluate(engine.lm, load_tasks(["hp_bench"]), limit=LIMIT, bootstrap_iters=0)
    return Run(found["results"], {task: by_document(found["samples"][task]) for task in TASKS})


def by_vllm(model: Path, folder: Path) -> Run:
    """By the command line, in a folder that has nothing to do with us."""
    folder.mkdir()
    settings = f"pretrained={model},dtype=float32,max_model_len=512,enforce_eager=True"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "lm_eval", "run", "--model", "vllm", "--model_args", settings, "--batch_size", "auto"),
            *("--tasks", "hp_bench,hp_familiarity", "--limit", str(LIMIT), "--output_path", "out", "--log_samples"),
        ],
        cwd=folder, env={**os.environ, **SETTINGS}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    (results,) = (folder / "out").rglob("results_*.json")
    samples = {}
    for task in TASKS:
        (path,) = (folder / "out").rglob(f"samples_{task}_*.jsonl")
        samples[task] = by_document([json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()])
    return Run(json.loads(results.read_text())["results"], samples)


def by_document(samples: list[dict]) -> list[dict]:
    return sorted(samples, key=lambda sample: sample["doc_id"])


@pytest.fixture(scope="module", params=["byte_bpe", "metaspace_bpe"])
def runs(request, tmp_path_factory) -> tuple[Run, Run]:
    """A tokenizer that adds no BOS, and one that does."""
    folder = tmp_path_factory.mktemp(request.param)
    model = checkpoint(folder / "model", request.param)
    return by_hf(model), by_vllm(model, folder / "elsewhere")


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


def test_completions_are_equal_up_to_a_space_before_and_an_incomplete_character_after(runs):
    """hf prints the beginning of a character as U+FFFD, vLLM withholds it; hf's metaspace decoders drop the first space, vLLM keeps it."""
    hf, vllm = (
        [row["resps"][0][0].rstrip("\ufffd").removeprefix(" ") for row in run.samples["hp_familiarity"]] for run in runs
    )
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


def test_what_the_command_prints_is_json_alone(tmp_path):
    """vLLM wrote its log before it, on the same stream."""
    model = checkpoint(tmp_path / "model", "byte_bpe")
    command = (sys.executable, "-m", "hp_bench", "score", model, "--engine", "vllm", "--tasks", "hp_token_probability")
    done = subprocess.run(
        [*command, "--dtype", "float32", "--out", tmp_path / "out", "--json"],
        env={**os.environ, **SETTINGS},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout)["scorecards"][0]["measurements"]
