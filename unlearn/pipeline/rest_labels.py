"""Labels for text of the rest, which keep a fine-tune on generic labels to it: the baseline's own distribution, or the text itself.

A soft run learns what the baseline says there; a hard one the text's own next tokens: the baseline's likeliest token would make it surer
of itself than any text is.
"""

from pathlib import Path
from typing import Any

from datasets import Dataset, load_from_disk

from unlearn.anchors.dictionary import AnchorDictionary
from unlearn.corpus.corpus import Corpus, Document
from unlearn.labels.dataset import make_labels
from unlearn.models import load_model, model_fingerprint
from unlearn.pipeline.rundir import RunDirectory
from unlearn.pipeline.stages import Target
from unlearn.recipe import Recipe
from unlearn.training.fine_tune import label_columns, reinforcement_dataset
from unlearn.training.pairs import Rest, retain_count


def rest_labels(recipe: Recipe, target: Target, rundir: RunDirectory) -> tuple[Dataset, dict[str, Any]] | None:
    """The rest's share of a fine-tune on generic labels, made once; None where the recipe has no text of the rest.

    Returns:
        Rows with the columns that the fine-tune reads, and plain values for its fingerprint.

    Raises:
        ValueError: the text is missing or empty.
    """
    if recipe.retain is None:
        return None
    length = recipe.labels.block_tokens
    rest = Rest.open(recipe.retain, target.tokenizer, length)
    inputs: dict[str, Any] = {
        **rest.inputs(),
        "blocks": retain_count(target.blocks, rest.share),
        "block_tokens": length,
    }
    if recipe.labels.soft:
        inputs |= {"baseline": model_fingerprint(recipe.model), "top_k": recipe.labels.top_k, "dtype": recipe.dtype}

    def make(folder: Path) -> None:
        chosen = rest.chosen(inputs["blocks"], target.tokenizer, length)
        if not recipe.labels.soft:
            reinforcement_dataset(chosen, folder / "rest.arrow")
            return
        settings = recipe.labels.settings(recipe.seed).model_copy(update={"alphas": (0.0,), "translations": 1})
        make_labels(
            load_model(recipe.model, device=recipe.device, dtype=recipe.dtype), None, target.tokenizer,
            Corpus(Document(f"rest:{n}", block.text) for n, block in enumerate(chosen)), AnchorDictionary(()), settings,
            out=folder, fingerprint=rest.fingerprint,
        )  # fmt: skip

    made = rundir.stage("rest_labels", inputs, make)
    rows = load_from_disk(str(made)) if recipe.labels.soft else Dataset.from_file(str(made / "rest.arrow"))
    return label_columns(rows, soft=recipe.labels.soft), inputs
