"""What a recipe would do: blocks, optimiser steps, memory and disk. Nothing is loaded but the tokenizer and the model's config."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unlearn.exits import first_line
from unlearn.files import find_model
from unlearn.models import require_whole
from unlearn.pipeline.stages import Target
from unlearn.recipe import Recipe, Training
from unlearn.registry import method_of
from unlearn.training.fine_tune import optimiser_steps
from unlearn.training.pairs import retain_count

_BYTES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}

#: Fewer optimiser steps than this hardly move a model; the paper takes about 120.
FEWEST_STEPS = 20

#: A training that passes over its text more often learns little but its words by heart; the paper passes 2 or 3 times.
MOST_PASSES = 20


@dataclass(frozen=True)
class Plan:
    """A dry run.

    Attributes:
        documents: of the target.
        blocks: of the target.
        tokens: of the target, special tokens left out.
        anchors: kept of the dictionary, and what was dropped.
        reinforce_steps: optimiser steps.
        finetune_steps: optimiser steps.
        checkpoints: that the fine-tune will leave.
        parameters: of the model.
        training_gib: memory for weights, gradients and AdamW's moments, on each process without sharding; activations come on top.
        labelling_gib: memory for the two models, on each process, in float32 where all weights of the reinforced one were trained and no
            type is asked for; logits come on top (1 GiB on a GPU).
        disk_gib: what the run directory will hold.
        warnings: what looks like a mistake.
    """

    documents: int
    blocks: int
    tokens: int
    anchors: str
    reinforce_steps: int
    finetune_steps: int
    checkpoints: int
    parameters: int
    training_gib: float
    labelling_gib: float
    disk_gib: float
    warnings: tuple[str, ...]


def plan(recipe: Recipe, *, keep: bool = False) -> Plan:
    """Works out a recipe; `keep`: whether the blocks stay in the run directory, for the run that follows.

    Raises ValueError: as running it would, for what can be seen without running it.
    """
    method = method_of(recipe.method)
    if recipe.reinforces or method.finetune:
        require_whole(recipe.model)
    parameters, dtype = _model(recipe.model)
    target = Target.open(recipe, keep=keep)
    blocks, tokens = len(target.blocks), target.blocks.tokens()
    stored = _BYTES.get(dtype if recipe.dtype == "auto" else recipe.dtype, 4)
    labelling = stored * (2 if recipe.reinforces else 1)
    if recipe.reinforces and recipe.reinforce.lora is None and recipe.dtype == "auto":
        labelling = 2 * max(stored, _BYTES["float32"])  # see `load_models`
    devices = int(os.environ.get("WORLD_SIZE", "1"))
    reinforce = optimiser_steps(blocks, recipe.reinforce, devices) if recipe.reinforces else 0
    beside = retain_count(blocks, recipe.retain.share) if recipe.retain and method.labels else 0
    finetune = optimiser_steps(blocks + beside, recipe.finetune, devices) if method.finetune else 0
    every = recipe.finetune.save_every
    checkpoints = (-(-finetune // every) if every else 1) if finetune else len(getattr(recipe.options, "scalings", []))
    soft = 2 * recipe.labels.top_k if recipe.labels.soft else 0
    columns = 1 + len(recipe.labels.alphas) + soft if method.labels else 0
    # Weights, gradients and two moments in float32; with adapters the frozen weights as stored, and 2 % of them trained.
    whole = recipe.finetune.lora is None
    training = parameters * 16.0 if whole else parameters * stored + 0.02 * parameters * 16
    trained = parameters * 4.0 if whole else 0.02 * parameters * 4
    weights = (checkpoints + (1 if reinforce else 0)) * trained
    return Plan(
        documents=sum(1 for _ in target.corpus), blocks=blocks, tokens=tokens, anchors=target.anchors.report(),
        reinforce_steps=reinforce, finetune_steps=finetune, checkpoints=checkpoints, parameters=parameters,
        training_gib=_gib(training), labelling_gib=_gib(parameters * labelling),
        disk_gib=_gib(weights + tokens * 4 * columns),
        warnings=(
            *_warnings(recipe, target, finetune if method.finetune else None),
            *(_passes("reinforce", recipe.reinforce, blocks, devices) if recipe.reinforces else ()),
            *(_passes("finetune", recipe.finetune, blocks + beside, devices, beside) if method.finetune else ()),
        ),
    )  # fmt: skip


def _warnings(recipe: Recipe, target: Target, finetune: int | None) -> list[str]:
    warnings = []
    if finetune is not None and finetune < FEWEST_STEPS:
        blocks_a_step = recipe.finetune.batch_size * recipe.finetune.accumulation
        warnings.append(
            f"the fine-tune takes {finetune} optimiser steps, fewer than {FEWEST_STEPS}: {len(target.blocks)} blocks at {blocks_a_step} "
            "a step hardly move the model; more epochs, or a smaller batch_size or accumulation"
        )
    warnings += target.corpus.warnings()
    if target.anchors.dropped:
        warnings.append(f"anchors: {target.anchors.report()}")
    return warnings


def _passes(key: str, training: Training, blocks: int, devices: int, rest: int = 0) -> Iterator[str]:
    """A warning where a training passes over its blocks, `rest` of them of kept text, too often."""
    steps = optimiser_steps(blocks, training, devices)
    passes = steps / optimiser_steps(blocks, training.model_copy(update={"epochs": 1, "max_steps": 0}), devices)
    if passes > MOST_PASSES:
        named = "max_steps" if training.max_steps else "epochs"
        kept = f" ({rest} of kept text)" if rest else ""
        yield (
            f"{key} passes over its {blocks} blocks{kept} {passes:.0f} times ({steps} steps); beyond {MOST_PASSES} times a model learns "
            f"little but their words by heart (the paper: 2 or 3 times): lower {key}.{named}, or give more text"
        )


def _model(name: str) -> tuple[int, str]:
    """Parameters of a model and the type its weights are stored in, from its config alone."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    name = find_model(name)
    if (Path(name) / "adapter_config.json").exists():
        from peft import PeftConfig

        name = str(PeftConfig.from_pretrained(name).base_model_name_or_path)
    try:
        config: Any = AutoConfig.from_pretrained(name)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)
    except Exception as error:  # checks of configs have errors of their own
        where = "" if Path(name).is_dir() else "no folder here is called so; as a hub id: "
        raise ValueError(f"model {name!r} cannot be read: {where}{first_line(error)}") from None
    dtype = str(getattr(config, "dtype", None) or "float32").removeprefix("torch.")
    return sum(p.numel() for p in model.parameters()), dtype


def _gib(size: float) -> float:
    return round(size / 1024**3, 3)
