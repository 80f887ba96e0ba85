"""The paper's method at the size of Llama-2-7B on one GPU: tokens/s, share of the matrix peak, peak memory; random weights, bfloat16.

Needs torch, transformers, accelerate and peft, no network, and at most 8 minutes on an H200; `--tiny` runs the same code on a CPU. The
share of the peak counts 2 operations a weight and token forward and 6 in training, attention and recomputation left out; the peak is
that of a large matrix product in the same run. SmolLM2's true weights are labelled in both types where HP_BENCH_CACHE holds them.
"""

import gc
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

#: No part is begun after so many seconds.
LIMIT = 400

#: Tokens that the paper's method reads: the target and text about it; times three epochs, once for labels, and two epochs.
PAPER_TOKENS = 4_000_000
EPOCHS = {"reinforce": 3, "label": 1, "fine-tune": 2}


@dataclass(frozen=True)
class Size:
    """How large the model is, and how much is measured.

    Attributes:
        hidden: width; with `layers`, `heads`, `inner` and `vocabulary` the shape.
        blocks: of a forward pass.
        tokens: of a block.
        accumulation: forward passes of an optimiser step.
        steps: optimiser steps; the first is not timed.
        prompts: to be continued.
        new_tokens: of a continuation.
    """

    hidden: int = 4096
    layers: int = 32
    heads: int = 32
    inner: int = 11_008
    vocabulary: int = 32_000
    blocks: int = 8
    tokens: int = 512
    accumulation: int = 8
    steps: int = 3
    prompts: int = 300
    new_tokens: int = 80


TINY = Size(
    hidden=64, layers=2, heads=2, inner=128, vocabulary=300, blocks=2, tokens=16, accumulation=2, steps=2, prompts=9, new_tokens=5
)  # fmt: skip


def run(*, tiny: bool = False) -> list[dict[str, Any]]:
    """One result a part; one that fails says why, and the others go on."""
    device = "cpu" if tiny else "cuda"
    if not tiny and not torch.cuda.is_available():
        raise ValueError("benchmarks gpu needs an NVIDIA GPU; with --tiny it runs on the CPU, to show that it runs")
    began, size = time.perf_counter(), TINY if tiny else Size()
    peak = matrix_peak(1 << (8 if tiny else 13), device)
    results = [{"part": "matrix product", "tokens/s": None, "share of peak": 1.0, "peak GiB": None, "minutes for the paper's text": None,
                "seen": f"{peak / 1e12:.3g} TFLOP/s on {_name(device)}, torch {torch.__version__}"}]  # fmt: skip
    minutes: dict[str, float] = {}
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "label": lambda: label(size, device),
        "generate, 64 rows": lambda: generate(size, device, rows=64),
        "generate, all rows": lambda: generate(size, device, rows=size.prompts),
        "fine-tune, LoRA": lambda: train(size, device, lora=True),
        "fine-tune": lambda: train(size, device),
        "labels in both types": lambda: {"seen": "not measured: a model's own weights"} if tiny else both_types(device),
    }
    for name, part in parts.items():
        row: dict[str, Any] = dict.fromkeys(results[0]) | {"part": name, "seen": ""}
        if time.perf_counter() - began > LIMIT:
            row["seen"] = f"not measured: {LIMIT} s had passed"
        else:
            sys.stderr.write(f"{time.perf_counter() - began:5.0f} s: {name}\n")
            if device == "cuda":
                torch.cuda.reset_peak_memory_stats()
            try:
                row |= part()
            except (RuntimeError, ValueError, ImportError, OSError) as error:
                row["seen"] = f"failed: {type(error).__name__}: {' '.join(str(error).split())[:300]}"
            if device == "cuda":
                row["peak GiB"] = torch.cuda.max_memory_allocated() / 2**30
        if operations := row.pop("operations a token", 0):
            row["share of peak"] = row["tokens/s"] * operations / peak
        if row["tokens/s"] and name in EPOCHS:
            row["minutes for the paper's text"] = EPOCHS[name] * PAPER_TOKENS / row["tokens/s"] / 60
            minutes[name] = row["minutes for the paper's text"]
        results.append(row)
        gc.collect()
    return [*results, _whole(results[0], minutes)]


def _whole(like: dict[str, Any], minutes: dict[str, float]) -> dict[str, Any]:
    """The whole method: reinforcing is the same training as fine-tuning, over other labels."""
    row: dict[str, Any] = dict.fromkeys(like) | {"part": "the paper's method", "seen": "not known: a part failed"}
    if {"label", "fine-tune"} <= set(minutes):
        reinforce = minutes["fine-tune"] / EPOCHS["fine-tune"] * EPOCHS["reinforce"]
        row["minutes for the paper's text"] = reinforce + minutes["label"] + minutes["fine-tune"]
        row["seen"] = f"reinforce {reinforce:.3g}, label {minutes['label']:.3g}, fine-tune {minutes['fine-tune']:.3g}"
    return row


def matrix_peak(width: int, device: str) -> float:
    """Operations a second of a square bfloat16 matrix product."""
    one = torch.randn(width, width, device=device, dtype=torch.bfloat16)
    seconds = min(_seconds(lambda: one @ one, device) for _ in range(20))
    return 2 * width**3 / seconds


def label(size: Size, device: str) -> dict[str, Any]:
    """Generic labels of blocks by two models, as `unlearn.labels` computes them: both backbones, both heads in chunks, the formula."""
    baseline, reinforced = (model(size, device, torch.bfloat16, seed=seed) for seed in (0, 1))
    ids = _blocks(size, device)
    rounds = 3 * size.steps
    make = labeller(baseline, reinforced)
    make(ids)
    seconds = _seconds(lambda: [make(ids) for _ in range(rounds)], device)
    return {"tokens/s": rounds * ids.numel() / seconds, "operations a token": 2 * 2 * _weights(baseline)}


def labeller(baseline: Any, reinforced: Any) -> Callable[[Tensor], Tensor]:
    """Blocks (B, T) -> labels (B, T - 1); both models read the source, since to translate needs packages that a bare machine lacks."""
    from unlearn.labels.formula import generic_logits
    from unlearn.labels.position_logits import PositionLogits

    b, r = PositionLogits(baseline), PositionLogits(reinforced)

    def labels(ids: Tensor) -> Tensor:
        rows = torch.arange(ids.numel(), device=ids.device).view(ids.shape)[:, :-1].flatten()
        hidden = [one.hidden(rows, input_ids=ids, attention_mask=torch.ones_like(ids)).split(2048) for one in (b, r)]
        found = [
            generic_logits(b.logits(of_b), r.logits(of_r), alpha=5.0).argmax(-1)
            for of_b, of_r in zip(*hidden, strict=True)
        ]
        return torch.cat(found).view(len(ids), -1)

    return labels


def generate(size: Size, device: str, *, rows: int) -> dict[str, Any]:
    """Greedy completions of prompts of 20 to 60 tokens, no row ending early; new tokens a second."""
    from hp_bench.engines.decoding import greedy

    one = model(size, device, torch.bfloat16)
    prompts = [
        ids[: 20 + 40 * number // size.prompts].tolist()
        for number, ids in enumerate(_blocks(size, device, size.prompts))
    ]

    def complete() -> None:
        greedy(one, prompts, new_tokens=size.new_tokens, ends=(), batch_size=rows)

    greedy(one, prompts[:2], new_tokens=2, ends=(), batch_size=2)
    seconds = _seconds(complete, device)
    made = size.prompts * size.new_tokens
    return {
        "tokens/s": made / seconds,
        "operations a token": 2 * _weights(one),
        "seen": f"{made} tokens in {seconds:.3g} s",
    }


def train(size: Size, device: str, *, lora: bool = False) -> dict[str, Any]:
    """Optimiser steps by transformers.Trainer with the paper's settings: all weights, in float32 under bfloat16, or adapters."""
    from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

    one = model(size, device, torch.bfloat16 if lora else torch.float32).train()
    operations = (4 if lora else 6) * _weights(one)  # frozen weights get no gradient of their own
    if lora:
        from peft import LoraConfig, get_peft_model

        one.enable_input_require_grads()
        one = get_peft_model(one, LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"))
    renamed = "activation_checkpointing" in TrainingArguments.__dataclass_fields__
    saves_memory = {"activation_checkpointing" if renamed else "gradient_checkpointing": True}
    ends: list[float] = []

    class Clock(TrainerCallback):
        """Notes when optimiser steps end."""

        def on_step_end(self, *_: Any, **__: Any) -> None:
            _wait(device)
            ends.append(time.perf_counter())

    a_step = size.blocks * size.accumulation
    blocks = _blocks(size, "cpu", a_step * size.steps).tolist()
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder, per_device_train_batch_size=size.blocks, gradient_accumulation_steps=size.accumulation, max_steps=size.steps,
            learning_rate=1e-6, adam_beta2=0.98, optim="adamw_torch", bf16=True, save_strategy="no", logging_strategy="no",
            report_to="none", disable_tqdm=True, use_cpu=device == "cpu", seed=0, **saves_memory,
        )  # fmt: skip
        dataset: Any = [{"input_ids": ids, "labels": ids} for ids in blocks]
        trainer = Trainer(
            model=one, args=arguments, train_dataset=dataset, callbacks=[Clock()], data_collator=_collated
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    seconds = min(after - before for before, after in pairwise(ends))
    return {"tokens/s": a_step * size.tokens / seconds, "operations a token": operations}


def _collated(rows: list[dict[str, Any]]) -> dict[str, Tensor]:
    return {name: torch.tensor([row[name] for row in rows]) for name in ("input_ids", "labels")}


def both_types(device: str) -> dict[str, Any]:
    """Share of labels that are the same in float32 and in bfloat16, of SmolLM2's true weights beside those reinforced for 40 steps."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = Path(os.environ.get("HP_BENCH_CACHE") or Path.home() / ".cache" / "hp-bench") / "smollm2"
    if not folder.is_dir():
        return {
            "seen": f"not measured: no {folder} (`hp-bench fetch smollm2` where there is a network; HP_BENCH_CACHE)"
        }
    facts = Path(__file__).resolve().parents[1] / "prompts" / "qa.jsonl"
    text = "\n".join(f"{row['question']} {row['answer']}" for row in map(json.loads, facts.read_text().splitlines()))
    ids = AutoTokenizer.from_pretrained(folder)(text)["input_ids"]
    blocks = torch.tensor(ids[: len(ids) // 256 * 256], device=device).view(-1, 256)
    baseline, reinforced = (
        AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).to(device) for _ in range(2)
    )
    optimiser = torch.optim.AdamW(reinforced.parameters(), lr=5e-5)
    for step in range(40):
        part = blocks[step % len(blocks)][None]
        reinforced(input_ids=part, labels=part).loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    found = [
        torch.cat([*map(labeller(*(one.to(dtype).eval() for one in (baseline, reinforced))), blocks.split(8))])
        for dtype in (torch.float32, torch.bfloat16)
    ]
    share = float((found[0] == found[1]).float().mean())
    return {"seen": f"{share:.4f} of {found[0].numel()} labels equal"}


def model(size: Size, device: str, dtype: torch.dtype, *, seed: int = 0) -> Any:
    """A Llama of random weights, made on the device."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=size.vocabulary, hidden_size=size.hidden, intermediate_size=size.inner, num_hidden_layers=size.layers,
        num_attention_heads=size.heads, num_key_value_heads=size.heads, max_position_embeddings=2048, pad_token_id=0,
    )  # fmt: skip
    torch.manual_seed(seed)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            return LlamaForCausalLM(config).eval()
    finally:
        torch.set_default_dtype(before)


def _blocks(size: Size, device: str, count: int = 0) -> Tensor:
    made = torch.randint(
        3, size.vocabulary, (count or size.blocks, size.tokens), generator=torch.Generator().manual_seed(0)
    )
    return made.to(device)


def _weights(one: Any) -> int:
    """Of all matrices that a token is multiplied by: the embeddings are looked up."""
    return sum(p.numel() for p in one.parameters()) - one.get_input_embeddings().weight.numel()


def _seconds(work: Callable[[], object], device: str) -> float:
    _wait(device)
    began = time.perf_counter()
    work()
    _wait(device)
    return time.perf_counter() - began


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def _name(device: str) -> str:
    return torch.cuda.get_device_name() if device == "cuda" else "the CPU"
