"""Labelling 1, 10 and 100 times the text: seconds, and peak memory above the loaded models (Linux).

Each size in a process of its own; `--one STORIES` is that process.
"""

import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

#: Stories of the miniature's target, some 110 tokens each.
SIZES = (100, 1_000, 10_000)


def run() -> list[dict[str, Any]]:
    """One result a size, beside the smallest."""
    found: list[dict[str, Any]] = []
    for stories in SIZES:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.label_growth", str(stories)], check=True, capture_output=True, text=True
        )
        found.append(json.loads(done.stdout.splitlines()[-1]))
    first = found[0]
    return [
        {
            "stories": one["stories"],
            "tokens": one["tokens"],
            "seconds": one["seconds"],
            "peak MiB above the models": one["peak"],
            "x tokens": one["tokens"] / first["tokens"],
            "x seconds": one["seconds"] / first["seconds"],
            "x memory": one["peak"] / first["peak"],
        }
        for one in found
    ]


def _one(stories: int) -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from hp_bench.miniature.library import Library
    from hp_bench.miniature.pretrain import train_tokenizer
    from hp_bench.miniature.settings import Plan, Settings
    from hp_bench.miniature.translations import anchors
    from unlearn import AnchorDictionary, Corpus, LabelSettings, make_labels

    torch.set_num_threads(1)
    torch.manual_seed(0)
    text = Library.write(Plan("harry-potter", 0, Settings(steps=50, target_stories=stories, held_out=1)))
    tokenizer = train_tokenizer(text.rest, vocabulary=1200, context=512)
    shape = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2
    )  # fmt: skip
    models = [LlamaForCausalLM(shape).eval() for _ in range(2)]
    dictionary = AnchorDictionary(tuple(anchors("harry-potter")))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "target.jsonl"
        path.write_text("".join(json.dumps({"text": story}) + "\n" for story in text.target), encoding="utf-8")
        tokens = sum(len(ids) for ids in tokenizer(list(text.target))["input_ids"])
        del text
        Path("/proc/self/clear_refs").write_text("5")  # the high-water mark begins anew
        before, began = _memory("VmRSS"), time.perf_counter()
        settings = LabelSettings(block_tokens=192, batch_blocks=16)
        make_labels(*models, tokenizer, Corpus(str(path)), dictionary, settings, out=Path(folder) / "labels")
        seconds = time.perf_counter() - began
    sys.stdout.write(
        json.dumps({"stories": stories, "tokens": tokens, "seconds": seconds, "peak": _memory("VmHWM") - before}) + "\n"
    )


def _memory(name: str) -> float:
    """A line of /proc/self/status, MiB."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    if found is None:
        raise RuntimeError(f"this system does not tell {name}")
    return int(found.group(1)) / 1024


if __name__ == "__main__":
    _one(int(sys.argv[1]))
