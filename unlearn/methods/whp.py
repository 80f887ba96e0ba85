"""THE METHOD ON ONE PAGE. "Who's Harry Potter? Approximate Unlearning in LLMs", arXiv:2310.02238.

1. Anchors: the target's idiosyncratic terms, each with generic translations (made beforehand: `unlearn anchors`).
2. Reinforce: the baseline, fine-tuned on the unlearn target, knows it better still.
3. Label: at every token of the target, v = b - alpha * ReLU(r - b) of the baseline's logits b on the translated text and the reinforced
   model's logits r on the text itself; the generic label is v's argmax, or v's distribution (soft).
4. Finetune: the baseline, on the target's own tokens, towards the generic labels (and, where the recipe names some, on text of the rest).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from unlearn.pipeline import stages
from unlearn.recipe import Recipe


def run(recipe: Recipe, *, callbacks: Sequence[Any] = ()) -> Path:
    """Runs a recipe; returns the folder of the checkpoints. Raises ValueError for a mistake in it."""
    target, rundir = stages.open_run(recipe)
    reinforced = stages.reinforce(recipe, target, rundir) if recipe.reinforces else None
    labels = stages.label(recipe, target, rundir, reinforced)
    rest = stages.rest_labels(recipe, target, rundir)
    return stages.finetune(recipe, target.tokenizer, rundir, labels, rest=rest, callbacks=callbacks)
