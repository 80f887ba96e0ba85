"""Name swap with soft labels ("WHP+"): the mean of what the baseline says of the target under many other names. No reinforced model.

    label at i = (1 / N) * sum over n of softmax(b_n at j_n(i))          b_n: the baseline's logits on the n-th translation of the block

That is the label pipeline of `whp` with `labels.translations = N`, `labels.soft = true` and `labels.use_reinforced = false`; the position
mapping, both rules and the fine-tune are `whp`'s.

Source: arXiv:2407.16997, section 4: the teacher's distribution under replaced names, averaged over names, distilled by KL
divergence. Theirs replaces one person's name in a question or page; ours every anchor of the dictionary.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from unlearn.pipeline import stages
from unlearn.recipe import Recipe, Section


class Options(Section):
    """The method's own; `translations`: N, no more than the anchor with most of them has; the authors' configuration has 20 names."""

    translations: int = Field(20, ge=1)


def run(recipe: Recipe, *, callbacks: Sequence[Any] = ()) -> Path:
    """Runs a recipe; returns the folder of the checkpoints. Raises ValueError for a mistake in it."""
    if not recipe.labels.use_anchors:
        raise ValueError("method name_swap needs anchors: labels.use_anchors=False leaves nothing to swap")
    options = Options.model_validate(recipe.options.model_dump())
    target, rundir = stages.open_run(recipe)
    readings = min(options.translations, max(len(anchor.translations) for anchor in target.anchors.anchors))
    changes = {"soft": True, "use_reinforced": False, "translations": readings, "alphas": (0.0,)}
    swapped = recipe.model_copy(update={"labels": recipe.labels.model_copy(update=changes)})
    labels = stages.label(swapped, target, rundir, None)
    rest = stages.rest_labels(swapped, target, rundir)
    return stages.finetune(swapped, target.tokenizer, rundir, labels, rest=rest, callbacks=callbacks)
