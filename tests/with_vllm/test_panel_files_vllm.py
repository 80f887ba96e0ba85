"""Real vLLM: extraction and every window of a text give the numbers of transformers; samples are seeded."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
import facts_world
import small_prompts
import tiny
import torch
from facts_world import story

from hp_bench.engines.hf import HFEngine
from hp_bench.scoring.score import load_tasks, score_engine

pytestmark = pytest.mark.vllm

LIKELIHOODS = ("hp_extraction", "hp_verbatim")
LEAK = "hp_familiarity_leak"
SETTINGS = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_ENABLE_V1_MULTIPROCESSING": "0"}


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A model that has the beginning of a text, and the facts of a world, nearly by heart; and the files that it is asked about."""
    folder = tmp_path_factory.mktemp("panel")
    metadata = facts_world.write(folder / "target")
    small_prompts.write(folder / "target")
    (folder / "book.txt").write_text(story(2050), encoding="utf-8")
    texts = [f"{fact['prompt']} {fact['answer']}." for fact in facts_world.facts()]
    tokenizer = tiny.tokenizer("byte_bpe", [story(2050), *texts], vocab_size=700)
    model = tiny.llama(len(tokenizer), context=1024)
    torch.manual_seed(0)
    batch = tokenizer(texts, return_tensors="pt", padding=True)
    labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(25):
        optimiser.zero_grad()
        model(**batch, labels=labels).loss.backward()
        optimiser.step()
    with torch.no_grad():
        model.lm_head.weight[tokenizer.all_special_ids] = 0  # the engines print special tokens differently
    model.eval().save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    assert metadata["prompts"] == str(folder / "target")
    return folder


@pytest.fixture(scope="module")
def metadata(place) -> dict[str, str]:
    return {"prompts": str(place / "target"), "text": str(place / "book.txt")}  # fmt: skip


@pytest.fixture(scope="module")
def engine(place):
    from hp_bench.engines.vllm import VLLMEngine

    made = VLLMEngine(place / "model", dtype="float32", max_model_len=1024)
    yield made
    made.close()


def test_log_likelihood_tasks_give_the_numbers_of_transformers(place, metadata, engine):
    hf, vllm = (
        score_engine(one, load_tasks(LIKELIHOODS, metadata), name="m").card
        for one in (HFEngine(place / "model", device="cpu", dtype="float32"), engine)
    )
    assert not hf.failures | vllm.failures
    for task in LIKELIHOODS:
        assert vllm.manifest.tasks[task] == hf.manifest.tasks[task]
        assert vllm.items[task] == hf.items[task]
        for metric, values in hf.values[task].items():
            assert None not in values
            assert vllm.values[task][metric] == pytest.approx(values, abs=2e-3, rel=1e-2), (task, metric)
    assert 0 < hf.get("hp_extraction", "extraction_strength").value < 1  # there is something to agree about


def samples(engine, metadata, **further) -> str:
    tasks = load_tasks([LEAK], {**metadata, **further})
    tasks["tasks"][LEAK].config.generation_kwargs["max_gen_toks"] = 8
    scored = score_engine(engine, tasks, name="m")
    assert not scored.card.failures
    return json.dumps([row["resps"] for row in scored.samples[LEAK]])


def test_samples_in_one_process_are_byte_identical_and_seeded(metadata, engine):
    first = samples(engine, metadata)
    torch.rand(7)
    assert samples(engine, metadata) == first
    assert samples(engine, metadata, leak_seed=5) != first
    for (drawn,) in json.loads(first):
        assert len(drawn) == 16
        assert len(set(drawn)) > 1


def test_plain_lm_eval_with_vllm_runs_all_four_and_writes_nothing_of_the_text(place, metadata, tmp_path):
    """Another process, started in another folder; `--metadata` as a user writes it."""
    settings = f"pretrained={place / 'model'},dtype=float32,max_model_len=1024,enforce_eager=True"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "lm_eval", "run", "--model", "vllm", "--model_args", settings, "--batch_size", "auto"),
            *("--tasks", f"hp_panel_files,hp_extraction,{LEAK}", "--limit", "4", "--output_path", "out", "--log_samples"),
            *("--metadata", ",".join(f"{key}={value}" for key, value in metadata.items())),
        ],
        cwd=tmp_path, env={**os.environ, **SETTINGS}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    (path,) = (tmp_path / "out").rglob("results_*.json")
    results = json.loads(path.read_text())["results"]
    for task in (*LIKELIHOODS, LEAK, "hp_recall"):
        assert results[task]["unscored,none"] == 0
    for task in ("hp_verbatim", "hp_recall"):
        (kept,) = (tmp_path / "out").rglob(f"samples_{task}_*.jsonl")
        written = kept.read_text(encoding="utf-8")
        assert "offset-" in written
        assert "secret" not in written
