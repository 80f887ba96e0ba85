"""Fine-tuning, tokens a processor second and peak memory above the loaded model: ours and plain transformers.Trainer, on the CPU.

A vocabulary of 128k, or with `real` SmolLM2-135M in float32. Each side in processes of its own, in turn; `--one SIDE MODEL` is such a
process. Same tokens, optimiser and batches; checkpoints left out.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.timed import QUICK

ROUNDS, STEPS = (1, 2) if QUICK else (2, 4)
VOCABULARY, LAYERS, HIDDEN = 128_000, 2, 256
BLOCKS, BLOCK_TOKENS = 2, 512
SIDES = ("transformers.Trainer", "ours")


def run(*, real: bool = False) -> list[dict[str, Any]]:
    """One result a side: tokens/s from the median optimiser step, the first left out."""
    model = ""
    if real:
        from hp_bench.experiments.real.model import fetch

        model = str(fetch("smollm2"))
    found: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
    for _ in range(ROUNDS):
        for side in SIDES:
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.finetune", "--one", side, model], check=True, capture_output=True, text=True
            )  # fmt: skip
            found[side].append(json.loads(done.stdout.splitlines()[-1]))
    speed = {side: median(one["tokens/s"] for one in ones) for side, ones in found.items()}
    peak = {side: median(one["peak"] for one in ones) for side, ones in found.items()}
    plain = SIDES[0]
    return [
        {
            "side": side, "tokens/s": speed[side], "peak MiB above the model": peak[side], "last loss": found[side][0]["loss"],
            "x speed": median(a["tokens/s"] / b["tokens/s"] for a, b in zip(found[side], found[plain], strict=True)),
            "x memory": peak[side] / peak[plain], "goal": f">= 1.0 x speed, <= {'.7' if real else '.6'} x memory" if side == "ours" else "",
        }
        for side in SIDES
    ]  # fmt: skip


def _one(side: str, name: str) -> None:
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, TrainerCallback

    from benchmarks.pair import THREADS, forget_peak, memory, models
    from benchmarks.prose import tokenizer
    from unlearn.models import load_model, load_tokenizer

    torch.set_num_threads(THREADS)
    if not name:
        model, words = models(VOCABULARY, layers=LAYERS, hidden=HIDDEN)[0], tokenizer()
    else:
        model = load_model(name, device="cpu") if side == "ours" else AutoModelForCausalLM.from_pretrained(name)
        words = load_tokenizer(name)
    shape = (BLOCKS * STEPS, BLOCK_TOKENS)
    made = torch.randint(3, model.config.vocab_size, shape, generator=torch.Generator().manual_seed(0))
    dataset = Dataset.from_dict({"input_ids": made.tolist(), "labels": made.tolist()})
    seconds: list[float] = []

    class Clock(TrainerCallback):
        """Times optimiser steps, forward passes included, by the processor: others may share it."""

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.began = time.process_time()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            seconds.append(time.process_time() - self.began)

    with tempfile.TemporaryDirectory() as folder:
        forget_peak(model)
        before = memory("VmRSS")
        train = _ours if side == "ours" else _plain
        loss = train(model, words, dataset, Path(folder), Clock())
        peak = memory("VmHWM") - before
    rate = BLOCKS * BLOCK_TOKENS / median(seconds[1:])
    sys.stdout.write(json.dumps({"tokens/s": rate, "peak": peak, "loss": loss}) + "\n")


def _ours(model: Any, tokenizer: Any, dataset: Any, folder: Path, clock: Any) -> float:
    from unlearn.recipe import Training
    from unlearn.training.fine_tune import fine_tune

    training = Training(
        epochs=1, batch_size=BLOCKS, accumulation=1, learning_rate=1e-3, save_every=0, extra={"save_strategy": "no"}
    )
    trained = fine_tune(
        model, tokenizer, dataset, training, work=folder / "work", checkpoints=folder / "checkpoints", device="cpu",
        callbacks=[clock],
    )  # fmt: skip
    return trained.history[-1]["loss"]


def _plain(model: Any, tokenizer: Any, dataset: Any, folder: Path, clock: Any) -> float:
    from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments

    arguments = TrainingArguments(
        output_dir=str(folder), per_device_train_batch_size=BLOCKS, num_train_epochs=1, learning_rate=1e-3, adam_beta2=0.98,
        optim="adamw_torch", save_strategy="no", logging_steps=1, report_to="none", use_cpu=True, seed=0, data_seed=0,
        disable_tqdm=True,
    )  # fmt: skip
    trainer = Trainer(
        model=model, args=arguments, train_dataset=dataset, callbacks=[clock],
        data_collator=DataCollatorForSeq2Seq(tokenizer, label_pad_token_id=-100),
    )  # fmt: skip
    trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry][-1]


if __name__ == "__main__":
    _one(*sys.argv[-2:])
