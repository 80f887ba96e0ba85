"""Task vector, negated: the weights move away from the reinforced model by as much as reinforcement moved them, times a scaling.

    theta = theta_baseline - scaling * (theta_reinforced - theta_baseline)

Nothing is trained but the reinforced model. Every scaling gives a checkpoint; `checkpoint-N` is scaling N / 100, so that a curve over
them reads as one over steps.

Source: arXiv:2212.04089, section 2 (task vectors and their negation) and section 3 (forgetting by negation).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import Field, field_validator

from unlearn.files import model_fingerprint, whole_folder
from unlearn.models import load_model, processes
from unlearn.pipeline import stages
from unlearn.recipe import Recipe, Section


class Options(Section):
    """The method's own; `scalings`: how far to go, each above 0, in hundredths; the paper chooses among .05 to 1 on a validation set."""

    scalings: list[float] = Field(default_factory=lambda: [0.2, 0.4, 0.6, 0.8, 1.0], min_length=1)

    @field_validator("scalings")
    @classmethod
    def _hundredths(cls, value: list[float]) -> list[float]:
        for scaling in value:
            if not scaling > 0 or abs(scaling * 100 - round(scaling * 100)) > 1e-9:
                raise ValueError(f"options.scalings={value}: {scaling} is not above 0, in hundredths (such as 0.25)")
        return value


def run(recipe: Recipe, *, callbacks: Sequence[Any] = ()) -> Path:
    """Runs a recipe; returns the folder of the checkpoints. Raises ValueError for a mistake in it."""
    options = Options.model_validate(recipe.options.model_dump())
    target, rundir = stages.open_run(recipe)
    reinforced = stages.reinforce(recipe, target, rundir)
    inputs = {
        "method": recipe.method, "baseline": model_fingerprint(recipe.model), "reinforced": model_fingerprint(reinforced),
        "dtype": recipe.dtype,
    }  # fmt: skip
    checkpoints = rundir.claim("checkpoints", inputs)
    for scaling in options.scalings:
        folder = checkpoints / f"checkpoint-{round(scaling * 100)}"
        if processes().is_main_process and not folder.exists():
            model = stages.trainable(recipe, recipe.finetune.model_copy(update={"lora": None}))
            subtract(model, _whole(recipe, reinforced), scaling)
            with whole_folder(folder) as temporary:
                model.save_pretrained(temporary)
                target.tokenizer.save_pretrained(temporary)
    processes().wait_for_everyone()
    return checkpoints


@torch.no_grad()
def subtract(baseline: Any, reinforced: Any, scaling: float) -> None:
    """Makes of the baseline `baseline - scaling * (reinforced - baseline)`, parameter by parameter, in place."""
    theirs = dict(reinforced.named_parameters())
    for name, weight in baseline.named_parameters():
        weight.sub_(theirs[name].to(weight) - weight, alpha=scaling)


def _whole(recipe: Recipe, reinforced: Path) -> Any:
    """The reinforced model, its adapter merged if it has one."""
    dtype = "float64" if recipe.dtype == "float64" else "float32"
    if not (reinforced / "adapter_config.json").exists():
        return load_model(reinforced, device="cpu", dtype=dtype)
    from peft import PeftModel

    merged: Any = PeftModel.from_pretrained(load_model(recipe.model, device="cpu", dtype=dtype), str(reinforced))
    return merged.merge_and_unload()
