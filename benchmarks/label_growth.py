"""Labelling 1, 10 and 100 times the text: processor seconds, and peak memory above the loaded models (Linux).

Each size in a process of its own; `python -m benchmarks.label_growth TEXTS [real]` is that process. With `real` SmolLM2-135M labels
documents of the companion as recipes/smollm2-soft.yaml says; it is the reinforced model, too: other weights would take as long.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

#: Stories of the miniature's target, some 110 tokens each; documents of the companion.
SIZES, REAL_SIZES = (100, 1_000, 10_000), (8, 80)


def run(*, real: bool = False) -> list[dict[str, Any]]:
    """One result a size, beside the smallest."""
    found: list[dict[str, Any]] = []
    for texts in REAL_SIZES if real else SIZES:
        words = [sys.executable, "-m", "benchmarks.label_growth", str(texts), *(["real"] if real else [])]
        done = subprocess.run(words, check=True, capture_output=True, text=True)
        found.append(json.loads(done.stdout.splitlines()[-1]))
    first = found[0]
    return [
        {
            "texts": one["texts"],
            "tokens": one["tokens"],
            "processor seconds": one["seconds"],
            "peak MiB above the models": one["peak"],
            "x tokens": one["tokens"] / first["tokens"],
            "x seconds": one["seconds"] / first["seconds"],
            "x memory": one["peak"] / first["peak"],
        }
        for one in found
    ]


def _one(texts: int, *, real: bool) -> None:
    import torch

    from benchmarks.pair import forget_peak, memory
    from unlearn import Corpus, make_labels

    torch.set_num_threads(1)
    torch.manual_seed(0)
    models, tokenizer, target, dictionary, settings = (_real if real else _miniature)(texts)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "target.jsonl"
        path.write_text("".join(json.dumps({"text": text}) + "\n" for text in target), encoding="utf-8")
        tokens = sum(len(ids) for ids in tokenizer(list(target))["input_ids"])
        del target
        forget_peak(*models)
        before, began = memory("VmRSS"), time.process_time()
        make_labels(*models, tokenizer, Corpus(str(path)), dictionary, settings, out=Path(folder) / "labels")
        seconds = time.process_time() - began
    peak = memory("VmHWM") - before
    sys.stdout.write(json.dumps({"texts": texts, "tokens": tokens, "seconds": seconds, "peak": peak}) + "\n")


def _miniature(stories: int) -> tuple[Any, ...]:
    from transformers import LlamaConfig, LlamaForCausalLM

    from hp_bench.miniature.library import Library
    from hp_bench.miniature.pretrain import train_tokenizer
    from hp_bench.miniature.settings import Plan, Settings
    from hp_bench.miniature.translations import anchors
    from unlearn import AnchorDictionary, LabelSettings

    text = Library.write(Plan("harry-potter", 0, Settings(steps=50, target_stories=stories, held_out=1)))
    tokenizer = train_tokenizer(text.rest, vocabulary=1200, context=512)
    shape = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2
    )  # fmt: skip
    models = [LlamaForCausalLM(shape).eval() for _ in range(2)]
    dictionary = AnchorDictionary(tuple(anchors("harry-potter")))
    return models, tokenizer, text.target, dictionary, LabelSettings(block_tokens=192, batch_blocks=16)


def _real(count: int) -> tuple[Any, ...]:
    from hp_bench.experiments.real.model import fetch
    from hp_bench.experiments.real.world import RealWorld, documents
    from hp_bench.probes.paths import prompts_dir
    from unlearn import AnchorDictionary
    from unlearn.models import load_model, load_tokenizer
    from unlearn.recipe import Recipe

    name, target = fetch("smollm2"), documents(prompts_dir() / "companion", seed=0)[:count]
    models = [load_model(name, device="cpu") for _ in range(2)]
    dictionary = AnchorDictionary.load(RealWorld(Path(), ()).anchors)
    return models, load_tokenizer(name), target, dictionary, Recipe.load("smollm2-soft.yaml").labels.settings(0)


if __name__ == "__main__":
    _one(int(sys.argv[1]), real=sys.argv[-1] == "real")
