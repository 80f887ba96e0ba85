"""What our fine-tunes add to a plain Trainer: whole checkpoints, a progress bar, and no pretended sharding."""

import json
import logging
import math
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import Any

import torch
from accelerate.utils import broadcast
from transformers import Trainer, TrainerCallback, TrainingArguments

from unlearn.files import whole_folder, write_json

log = logging.getLogger(__name__)

#: What Trainer writes last into a checkpoint; one that can be read makes the checkpoint whole.
STATE = "trainer_state.json"

#: How files of weights begin, and those that only the training itself reads.
_WEIGHTS = ("model", "pytorch_model", "adapter_model")
_OURS_ALONE = ("optimizer", "scheduler", "rng_state", "scaler", "training_args", "trainer_state", "pytorch_model_fsdp")


class Export(TrainerCallback):
    """Gives every checkpoint of the recipe its final name, whole: hard links to what Trainer wrote, less the optimiser's state."""

    def __init__(self, checkpoints: Path) -> None:
        self._checkpoints = checkpoints

    def on_train_begin(self, args: TrainingArguments, state: Any, control: Any, **_: Any) -> None:
        """Exports what a run that was killed in between had saved but not exported."""
        if state.is_world_process_zero:
            for folder in Path(args.output_dir or ".").glob("checkpoint-*"):
                if (folder / STATE).exists():
                    self._export(folder, args)

    def on_save(self, args: TrainingArguments, state: Any, control: Any, **_: Any) -> None:
        """Exports the checkpoint just written."""
        if state.is_world_process_zero:
            self._export(Path(args.output_dir or ".") / f"checkpoint-{state.global_step}", args)

    def _export(self, source: Path, args: TrainingArguments) -> None:
        target = self._checkpoints / source.name
        if target.exists() or not _wanted(source, args):
            return
        kept = [file for file in source.iterdir() if file.is_file() and not file.name.startswith(_OURS_ALONE)]
        if not any(file.name.startswith(_WEIGHTS) and file.suffix in (".safetensors", ".bin") for file in kept):
            raise ValueError(
                f"{str(source)!r} holds no whole weights: the training is sharded, and saves its shards alone; "
                "with DeepSpeed stage 3 set stage3_gather_16bit_weights_on_model_save"
            )
        with whole_folder(target) as temporary:
            for file in kept:
                try:
                    os.link(file, temporary / file.name)
                except OSError:
                    shutil.copy2(file, temporary / file.name)
            _restore_cache(temporary / "config.json")


def _wanted(checkpoint: Path, args: TrainingArguments) -> bool:
    """Whether a checkpoint is one of the recipe's, or the last; the others are there to go on from."""
    state = json.loads((checkpoint / STATE).read_text())
    ended = state["stateful_callbacks"]["TrainerControl"]["args"]["should_training_stop"]
    return bool(ended or state["global_step"] % int(args.save_steps) == 0)


#: Seconds of training after which it could go on from there were it killed, and how many times as long as the saving took, at least.
_KEEP_EVERY, _KEEP_SHARE = 300.0, 20.0


class KeepGoing(TrainerCallback):
    """Has a long training saved every few minutes, whatever its recipe saves, so that no more is lost when it is killed."""

    def on_train_begin(self, args: TrainingArguments, state: Any, control: Any, **_: Any) -> None:
        """Begins to count."""
        self._begun, self._pause = monotonic(), _KEEP_EVERY

    def on_step_end(self, args: TrainingArguments, state: Any, control: Any, **_: Any) -> None:
        """Asks for a checkpoint when it is time, by the clock of the first process."""
        due = torch.tensor(int(monotonic() - self._begun >= self._pause), device=args.device)
        control.should_save |= bool(broadcast(due))
        if control.should_save:
            self._begun = monotonic()

    def on_save(self, args: TrainingArguments, state: Any, control: Any, **_: Any) -> None:
        """Counts from here."""
        self._pause = max(_KEEP_EVERY, _KEEP_SHARE * (monotonic() - self._begun))
        self._begun = monotonic()


def _restore_cache(config: Path) -> None:
    """Trainer switches the key-value cache off while it trains and saves that; whoever generates wants it on."""
    if config.exists():
        content = json.loads(config.read_text())
        if content.get("use_cache") is False:
            config.unlink()  # a hard link: Trainer's own copy stays as it is
            write_json(config, {**content, "use_cache": True})


class ReallySharded(TrainerCallback):
    """Trainer quietly falls back to plain data parallelism where it cannot shard (on CPUs, for one); that must not pass for FSDP."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Raises ValueError if the wrapped model is not sharded."""
        from torch.distributed.fsdp import FSDPModule, FullyShardedDataParallel

        if not isinstance(self._trainer.model_wrapped, FSDPModule | FullyShardedDataParallel):
            kind = type(self._trainer.model_wrapped).__name__
            raise ValueError(
                f"FSDP was asked for, but Trainer wrapped the model as {kind}: it is not sharded (FSDP needs GPUs)"
            )


def require_gathered(trainer: Trainer) -> bool:
    """Whether FSDP is on, by Trainer's options or by accelerate's.

    Raises ValueError: it would save shards, of which nobody can make a model without the same processes.
    """
    plugin = getattr(trainer.accelerator.state, "fsdp_plugin", None)
    if plugin is not None and "FULL" not in str(plugin.state_dict_type):
        kind = str(plugin.state_dict_type).rpartition(".")[2]
        raise ValueError(f"FSDP is to save a {kind}, not whole models: set fsdp_state_dict_type: FULL_STATE_DICT")
    return plugin is not None


class SaveTheEnd(TrainerCallback):
    """The last step is saved though a callback ended the training between two checkpoints. Comes after all others."""

    _saved: int | None = None

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Notes what need not be saved again."""
        self._saved = state.global_step

    def _save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        control.should_save |= control.should_training_stop and state.global_step != self._saved

    on_step_end = on_epoch_end = on_log = on_evaluate = _save


def beside_ours(others: Sequence[TrainerCallback], checkpoints: Path) -> list[TrainerCallback]:
    """Other callbacks, between those that every fine-tune of ours has."""
    return [Export(checkpoints), KeepGoing(), *others, SaveTheEnd()]


class StepsBar(TrainerCallback):
    """One row of `bars`, a progress display, in optimiser steps, with an estimate."""

    bars: Any

    def __init__(self, description: str) -> None:
        self._description = description

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Opens the row."""
        if state.global_step and state.is_world_process_zero:
            log.info("%s: continuing at step %d of %d", self._description, state.global_step, state.max_steps)
        self._row = self.bars.add_task(self._description, total=state.max_steps, completed=state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Moves it."""
        self.bars.update(self._row, completed=state.global_step)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Raises ValueError if the loss is no number any more: nothing that comes after would be."""
        if not math.isfinite((logs or {}).get("loss", 0)):
            what, step = self._description, state.global_step
            raise ValueError(
                f"{what}: the loss is no number at step {step}: lower learning_rate={args.learning_rate:g}"
            )

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Closes it."""
        self.bars.remove_task(self._row)
