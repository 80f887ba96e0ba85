"""Both fine-tunes, by Hugging Face Trainer: accelerate, FSDP, DeepSpeed, PEFT, Liger and the trackers come with it.

A fine-tune of ours is a plain `transformers.Trainer` on a plain dataset; what is added is that the loss is taken in chunks where that
is possible (`chunked_loss`), that checkpoints appear whole under their final names, that an interrupted run goes on from the last one or,
of a long one, from a state that is kept every few minutes, and that weights are trained in float32: at the paper's learning rate of 1e-6
an update is smaller than the spacing of bfloat16 numbers and would be lost.
"""

import json
import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers import (
    DataCollatorForSeq2Seq,
    PreTrainedTokenizerBase,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)
from transformers.utils import is_liger_kernel_available

from unlearn.files import write_json
from unlearn.models import processes
from unlearn.progress import progress_bars
from unlearn.recipe import Training
from unlearn.training.callbacks import STATE, ReallySharded, StepsBar, beside_ours, require_gathered
from unlearn.training.chunked_loss import ChunkedLossTrainer, SoftLabelTrainer, soft_label_batch

log = logging.getLogger(__name__)

_ENDED, _HISTORY = "ended.json", "history.json"


@dataclass(frozen=True)
class Trained:
    """What a fine-tune leaves beside its checkpoints.

    Attributes:
        steps: optimiser steps taken.
        planned: optimiser steps of the whole; more than `steps` where a callback ended it.
        history: per logged step: loss in nats a token, gradient norm, learning rate; held-out loss where there is a holdout.
        last: folder of the last checkpoint.
    """

    steps: int
    planned: int
    history: tuple[dict[str, float], ...]
    last: Path


def train_once(train: Callable[[Path], Trained], *, scraps: Sequence[str]) -> Callable[[Path], None]:
    """A stage of a run that trains in its folder, and then throws away the `scraps` in there that only an interrupted training needs.

    Where its checkpoints are in there, too, the last one is the stage's own model. A run that was killed after its training does not train
    again.
    """

    def make(folder: Path) -> None:
        if not (folder / _HISTORY).exists():
            trained = train(folder)
            if processes().is_main_process:
                for file in trained.last.iterdir() if trained.last.is_relative_to(folder) else ():
                    file.replace(folder / file.name)
                if trained.steps < trained.planned:
                    write_json(folder / _ENDED, {"step": trained.steps, "of": trained.planned})
                write_json(folder / _HISTORY, list(trained.history))  # by which it is known to be at its end
        if processes().is_main_process:
            for scrap in (folder / name for name in scraps):
                shutil.rmtree(scrap) if scrap.is_dir() else scrap.unlink(missing_ok=True)

    return make


def say_early_end(stage: Path) -> None:
    """Logs that a finished fine-tune is not as long as its recipe says: callbacks are no part of what it is known by."""
    try:
        ended = json.loads((stage / _ENDED).read_text())
    except FileNotFoundError:
        return
    if processes().is_main_process:
        at, of = ended["step"], ended["of"]
        log.info("the fine-tune ended at step %d of %d, by a callback; to train anew, delete %s", at, of, stage)


def fine_tune(
    model: Any, tokenizer: PreTrainedTokenizerBase, dataset: Dataset, training: Training, *, work: Path, checkpoints: Path,
    seed: int = 0, device: str = "auto", temperature: float | None = None, callbacks: Sequence[TrainerCallback] = (),
    build: Callable[[Any, dict[str, Any]], Trainer] | None = None, description: str = "training",
) -> Trained:  # fmt: skip
    """Fine-tunes a model on a dataset with `input_ids` and `labels`.

    Args:
        model: loaded in float32 for full fine-tuning; with `training.lora` in any type.
        tokenizer: saved beside each checkpoint; pads.
        dataset: `labels[t]` is the target of the token at t, -100 ignored; with `top_ids` and `top_logits` for soft labels.
        training: the recipe's section.
        work: the optimiser's state and what resuming needs; an interrupted run goes on from there.
        checkpoints: `checkpoint-<optimiser steps>` folders appear here, each whole.
        seed: of data order, dropout and adapter weights.
        device: cpu forces the CPU.
        temperature: trains on soft labels at this temperature; None: on `labels`.
        callbacks: further `TrainerCallback`s.
        build: makes another Trainer, from the collator that pads `input_ids` and `labels` and the Trainer's options; for a dataset of
            other columns.
        description: of the progress bar.

    Raises ValueError: the dataset holds nothing to train on, or what the model cannot read, or sharded training would not gather the
    weights to save them.
    """
    if not len(dataset):
        raise ValueError("there is no block to train on")
    if "labels" in dataset.column_names and not any(set(row["labels"][1:]) - {-100} for row in dataset):
        raise ValueError(
            f"there is nothing to train on: no position of {len(dataset)} blocks has a label (a first token has none)"
        )
    _require_known(model, dataset)
    set_seed(seed)
    if training.lora is not None:
        model = _with_adapters(model, training)
    held_out, size = None, round(len(dataset) * training.holdout)
    if size:
        held_out, dataset = _split(dataset, size, seed)
    tokenizer, bar = _padding(tokenizer), StepsBar(description)
    soft = temperature is not None or build is not None
    arguments = _arguments(training, work, seed=seed, device=device, evaluate=held_out is not None, soft=soft)
    collator: Any = DataCollatorForSeq2Seq(tokenizer, label_pad_token_id=-100)
    options: dict[str, Any] = {
        "model": model, "args": arguments, "train_dataset": dataset, "eval_dataset": held_out,
        "processing_class": tokenizer, "callbacks": beside_ours([bar, *callbacks], checkpoints),
    }  # fmt: skip
    trainer: Trainer
    if build is not None:
        trainer = build(collator, options)
    elif temperature is not None:
        soft_labels = partial(soft_label_batch, collator)
        trainer = SoftLabelTrainer(temperature=temperature, data_collator=soft_labels, **options)
    else:
        trainer = ChunkedLossTrainer(data_collator=collator, **options)
    trainer.remove_callback(PrinterCallback)
    if require_gathered(trainer) or arguments.fsdp:
        trainer.add_callback(ReallySharded(trainer))
    resume = _last_whole(work) if trainer.is_world_process_zero() or work.exists() else None
    trainer.accelerator.wait_for_everyone()
    with progress_bars(enabled=trainer.is_local_process_zero()) as bar.bars:
        trainer.train(resume_from_checkpoint=str(resume) if resume else None)
    steps, entries = trainer.state.global_step, [entry for entry in trainer.state.log_history if set(entry) & _LOSSES]
    history = tuple({k: v for k, v in entry.items() if k in _LOGGED} for entry in entries)
    return Trained(steps, trainer.state.max_steps, history, checkpoints / f"checkpoint-{steps}")


def _require_known(model: Any, dataset: Dataset) -> None:
    """Raises ValueError if a block holds a token that the model has no embedding for, or is longer than its context."""
    known = model.get_input_embeddings().weight.shape[0]
    rows = [row["input_ids"] for row in dataset.select_columns(["input_ids"])]
    largest, longest = max(max(row, default=0) for row in rows), max(map(len, rows))
    if longest > (context := getattr(model.config.get_text_config(), "max_position_embeddings", None) or longest):
        raise ValueError(
            f"a block of {longest} tokens is longer than the model's context of {context}: choose fewer block_tokens"
        )
    if largest >= known:
        raise ValueError(
            f"the blocks hold token {largest}, and the model knows {known}: its tokenizer is another model's, or the model was not resized "
            "for tokens that were added"
        )


#: transformers renamed the argument in 5.x.
_RENAMED = "activation_checkpointing" in TrainingArguments.__dataclass_fields__
_CHECKPOINTING = "activation_checkpointing" if _RENAMED else "gradient_checkpointing"
_LOSSES = {"loss", "eval_loss"}
_LOGGED = {"step", "loss", "eval_loss", "grad_norm", "learning_rate"}


def label_columns(dataset: Dataset, column: str = "labels", *, soft: bool = False) -> Dataset:
    """What a fine-tune reads of a label dataset: `input_ids`, one label column as `labels`, and the soft labels if asked for."""
    if column not in dataset.column_names:
        have = ", ".join(c for c in dataset.column_names if c.startswith("labels"))
        raise ValueError(f"the labels have no column {column!r}; there is {have}")
    kept = ["input_ids", column, *(["top_ids", "top_logits"] if soft else [])]
    missing = ", ".join(c for c in kept if c not in dataset.column_names)
    if missing:
        raise ValueError(f"the labels hold no soft labels (columns {missing}): make them with labels.soft=true")
    found = dataset.select_columns(kept)
    return found if column == "labels" else found.rename_column(column, "labels")


def optimiser_steps(blocks: int, training: Training, devices: int = 1) -> int:
    """Optimiser steps a fine-tune will take."""
    if training.max_steps:
        return training.max_steps
    held_out = round(blocks * training.holdout)
    batches = -(-(blocks - held_out) // (training.batch_size * devices))
    return max(1, int(-(-batches // training.accumulation) * training.epochs))


def _arguments(
    training: Training, work: Path, *, seed: int, device: str, evaluate: bool, soft: bool
) -> TrainingArguments:
    on_gpu = torch.cuda.is_available() and device != "cpu"
    save_every = training.save_every or 10**9
    options: dict[str, Any] = {
        "output_dir": str(work), "per_device_train_batch_size": training.batch_size,
        "per_device_eval_batch_size": training.batch_size, "gradient_accumulation_steps": training.accumulation,
        "num_train_epochs": training.epochs, "max_steps": training.max_steps or -1,
        "learning_rate": training.learning_rate, "lr_scheduler_type": training.schedule,
        "warmup_steps": training.warmup_steps, "adam_beta1": training.adam_betas[0], "adam_beta2": training.adam_betas[1],
        "weight_decay": training.weight_decay, "max_grad_norm": training.max_grad_norm, "optim": "adamw_torch",
        "bf16": training.bf16, **({_CHECKPOINTING: True} if training.gradient_checkpointing else {}),
        "save_strategy": "steps", "save_steps": save_every, "save_total_limit": 1,
        "eval_strategy": "steps" if evaluate else "no", "eval_steps": min(save_every, 20),
        "logging_strategy": "steps", "logging_steps": 1, "logging_nan_inf_filter": False, "report_to": "none",
        "disable_tqdm": True, "seed": seed, "data_seed": seed, "use_cpu": device == "cpu" or not torch.accelerator.is_available(),
        "remove_unused_columns": not soft, "use_liger_kernel": on_gpu and not soft and is_liger_kernel_available(),
        "dataloader_pin_memory": on_gpu,
    }  # fmt: skip
    try:
        return TrainingArguments(**{**options, **training.extra})
    except (TypeError, ValueError) as error:
        raise ValueError(f"training.extra={training.extra}: {error}") from None


def _split(dataset: Dataset, size: int, seed: int) -> tuple[Dataset, Dataset]:
    """`size` rows and the others, as `Dataset.train_test_split` draws them, but with no cache file beside the dataset."""
    order = np.random.default_rng(seed).permutation(len(dataset))
    return dataset.select(order[:size], keep_in_memory=True), dataset.select(order[size:], keep_in_memory=True)


def _with_adapters(model: Any, training: Training) -> Any:
    from peft import LoraConfig, get_peft_model

    lora: Any = training.lora
    names: dict[str, Any] = {"r": lora.r, "lora_alpha": lora.alpha, "lora_dropout": lora.dropout}
    config = LoraConfig(**names, target_modules=lora.target_modules, task_type="CAUSAL_LM")
    if training.gradient_checkpointing:
        model.enable_input_require_grads()
    adapted = get_peft_model(model, config)
    if isinstance(config.target_modules, set):  # its order, which is saved, differs from process to process
        config.target_modules = sorted(config.target_modules)
    return adapted


def _padding(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """The tokenizer, able to pad on the right; what pads is never attended to nor a target."""
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    tokenizer.padding_side = "right"
    return tokenizer


def _last_whole(work: Path) -> Path | None:
    """The newest checkpoint that was written to its end; one that was not is removed."""
    whole: list[tuple[int, Path]] = []
    for folder in work.glob("checkpoint-*"):
        try:
            step = json.loads((folder / STATE).read_text())["global_step"]
            whole.append((step, folder))
        except (OSError, ValueError, KeyError):
            shutil.rmtree(folder, ignore_errors=True)
    return max(whole)[1] if whole else None
