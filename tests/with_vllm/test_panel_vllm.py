"""The panel's facts, contexts and languages by vLLM and by transformers: the same numbers. Real vLLM, on the CPU."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
import tiny
import torch

from hp_bench.engines.hf import HFEngine
from hp_bench.scoring.score import load_tasks, score_engine

pytestmark = pytest.mark.vllm

TASKS = ("hp_qa", "hp_qa_author_films", "hp_neighbours", "hp_context", "hp_languages_fr", "hp_languages_de")
ANSWERS = [
    ("Who keeps the maps?", "The maps are kept by", "Nora Quill", ["Captain Brandt", "the baker", "an owl"]),
    ("What did the baker buy?", "The baker bought", "flour", ["eggs", "a lantern", "a magic lantern show"]),
    ("Where is the café?", "The café is by the", "river", ["tower", "market", "old cabinet"]),
    ("What does she play?", "She plays", "chess", ["football", "the cello", "an old lantern"]),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A tiny model that never says what the two engines print differently: special tokens, and bytes that make no character."""
    folder = tmp_path_factory.mktemp("panel") / "model"
    tokenizer = tiny.tokenizer("metaspace_bpe")
    llama = tiny.llama(len(tokenizer))
    unsaid = [n for token, n in tokenizer.get_vocab().items() if token.startswith("<0x")] + tokenizer.all_special_ids
    with torch.no_grad():
        llama.lm_head.weight[unsaid] = 0
    llama.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def target(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("target")
    facts = [
        {"id": f"f{n}", "question": question, "cloze": cloze, "answer": answer, "distractors": others, "topic": "town"}
        for n, (question, cloze, answer, others) in enumerate(ANSWERS)
    ]
    names = ["market", "lantern", "river", "archivist", "Nora", "Brandt", "map", "owl", "cello", "tower"]
    forms = ["hint", "summary", "persuasion", "role-play"]
    contexts = [
        {"id": f"c{n}", "form": forms[n % 4], "prompt": f"On day {n} the keeper spoke of", "references": [name], "topic": "town"}
        for n, name in enumerate(names)
    ]  # fmt: skip
    probes = [
        {"id": f"p{n}", "prompt": f"Le jour {n} on parla de", "references": [name], "kind": "partial", "subtlety": 2, "topic": "town"}
        for n, name in enumerate(names)
    ]  # fmt: skip
    files = dict.fromkeys(("qa", "qa_author_films", "neighbours"), facts)
    files |= {"context": contexts, "languages-fr": probes, "languages-de": probes}
    files["lexicon"] = [{"term": name, "type": "x", "scope": "idiosyncratic"} for name in names]
    for name, rows in files.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


def test_both_engines_give_the_same_values_fact_by_fact(model, target):
    from hp_bench.engines.vllm import VLLMEngine

    hf = score_engine(
        HFEngine(model, device="cpu", dtype="float32"), load_tasks(TASKS, {"prompts": str(target)}), name="m"
    )
    engine = VLLMEngine(str(model), dtype="float32", max_model_len=512)
    try:
        vllm = score_engine(engine, load_tasks(TASKS, {"prompts": str(target)}), name="m")
    finally:
        engine.close()
    assert not hf.card.failures | vllm.card.failures and not hf.card.failed | vllm.card.failed
    assert vllm.card.items == hf.card.items and list(hf.card.items) == list(TASKS)
    assert vllm.card.manifest.tasks == hf.card.manifest.tasks
    for task in TASKS:
        for metric, values in hf.card.values[task].items():
            assert vllm.card.values[task][metric] == pytest.approx(values, abs=1e-4), (task, metric)
    shares = hf.card.values["hp_qa"]["cloze_share"]
    assert len(set(shares)) == len(shares), "nothing to agree about"
    said = [value for task in TASKS[3:] for metric in hf.card.values[task] for value in hf.card.values[task][metric]]
    assert 0 < sum(said) < len(said), "nothing to agree about"


def test_plain_lm_eval_runs_them_with_our_own_prompts_from_another_folder(tmp_path):
    settings = f"pretrained={tiny.save(tmp_path / 'model', 'metaspace_bpe')},dtype=float32,max_model_len=512,enforce_eager=True"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "lm_eval", "run", "--model", "vllm", "--model_args", settings, "--batch_size", "auto"),
            *("--tasks", ",".join(TASKS), "--limit", "4", "--output_path", "out"),
        ],
        cwd=tmp_path, env={**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_ENABLE_V1_MULTIPROCESSING": "0"},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    (path,) = (tmp_path / "out").rglob("results_*.json")
    results = json.loads(path.read_text())["results"]
    assert set(TASKS) <= set(results)
    assert all(results[task]["unscored,none"] == 0 for task in TASKS)
    assert 0 < results["hp_qa"]["cloze_share,none"] < 1
