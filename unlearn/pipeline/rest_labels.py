"""Labels for text of the rest, which keep a fine-tune on generic labels to it: the baseline's own distribution, or the text itself.

A soft run learns what the baseline says there; a hard one the text's own next tokens: the baseline's likeliest token would make it surer
of itself than any text is.
"""

from pathlib import Path
from typing import Any

from datasets import Dataset, load_from_disk

from unlearn.anchors.dictionary import AnchorDictionary
from unlearn.fingerprint import model_fingerprint
from unlearn.labels.dataset import make_labels
from unlearn.models import load_model
from unlearn.pipeline.rundir import RunDirectory
from unlearn.pipeline.stages import Target, blocks_folder
from unlearn.recipe import Recipe
from unlearn.training.fine_tune import label_columns
from unlearn.training.pairs import open_rest, retain_count


def rest_labels(recipe: Recipe, target: Target, rundir: RunDirectory) -> tuple[Dataset, dict[str, Any]] | None:
    """The rest's share of a fine-tune on generic labels, made once: rows as it reads them, and plain values for its fingerprint.

    None where the recipe has no text of the rest. Raises ValueError: that text is missing or empty.
    """
    if recipe.retain is None:
        return None
    labels = recipe.labels
    text = open_rest(recipe.retain, target.tokenizer, labels.block_tokens, blocks_folder(recipe))
    chosen = text.spread(retain_count(len(target.blocks), recipe.retain.share), "rest")
    inputs: dict[str, Any] = {
        "corpus": text.corpus_fingerprint, "share": recipe.retain.share, "blocks": len(chosen), "block_tokens": labels.block_tokens,
    }  # fmt: skip
    if not labels.soft:
        return chosen.for_training(), inputs
    inputs |= {"baseline": model_fingerprint(recipe.model), "top_k": labels.top_k, "dtype": recipe.dtype}

    def make(folder: Path) -> None:
        make_labels(
            load_model(recipe.model, device=recipe.device, dtype=recipe.dtype), None, target.tokenizer, chosen, AnchorDictionary(()),
            labels.settings(recipe.seed).model_copy(update={"alphas": (0.0,), "translations": 1}),
            out=folder, fingerprint=text.corpus_fingerprint,
        )  # fmt: skip

    return label_columns(load_from_disk(str(rundir.stage("rest_labels", inputs, make))), soft=True), inputs
