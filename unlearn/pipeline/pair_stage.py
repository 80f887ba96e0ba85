"""The one stage of the methods that need no labels: the baseline, fine-tuned on blocks of the target and of the rest."""

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import Trainer

from unlearn.corpus.blocks import grouped
from unlearn.files import model_fingerprint, write_text
from unlearn.models import load_model, processes
from unlearn.pipeline.stages import Target, open_run, trainable
from unlearn.recipe import Recipe
from unlearn.settings import IGNORED
from unlearn.training.fine_tune import Trained, fine_tune, say_early_end, train_once
from unlearn.training.pairs import PairLoss, PairTrainer, block_log_probabilities, pair_batch, pair_dataset

#: In the stage's folder, while it trains: the baseline's log-probability of every block. Blocks read at a time for it.
_REFERENCE, _AT_ONCE = "reference.json", 8

#: A method's `Options`, the recipe and the model about to be trained -> the loss; it may switch parameters' training off.
MakeLoss = Callable[[Any, Recipe, Any], PairLoss]


def finetune_on_pairs(
    loss: MakeLoss, recipe: Recipe, *, with_reference: bool = False, callbacks: Sequence[Any] = ()
) -> Path:
    """The whole `run` of a method with such a loss, as `unlearn.methods.run`.

    `with_reference`: whether the loss reads the baseline's log-probability of each block, which is worked out once.
    """
    target, rundir = open_run(recipe)
    rest, retain = target.rest(recipe), recipe.retain
    inputs = {
        "method": recipe.method, "options": recipe.options.model_dump(mode="json"), "baseline": model_fingerprint(recipe.model),
        "corpus": target.blocks.corpus_fingerprint, "block_tokens": recipe.labels.block_tokens,
        "retain": {"corpus": rest.corpus_fingerprint, "share": retain.share} if rest and retain else None,
        "training": recipe.finetune.model_dump(mode="json"), "dtype": recipe.dtype, "seed": recipe.seed,
    }  # fmt: skip
    checkpoints = rundir.claim("checkpoints", inputs)

    def build(collator: Any, options: dict[str, Any]) -> Trainer:
        pair_loss = loss(recipe.options, recipe, options["model"])
        return PairTrainer(pair_loss=pair_loss, data_collator=partial(pair_batch, collator), **options)

    def train(folder: Path) -> Trained:
        path, reference = folder / _REFERENCE, None
        if with_reference:
            if processes().is_main_process and not path.exists():
                write_text(path, json.dumps(_reference(recipe, target)))
            processes().wait_for_everyone()
            reference = json.loads(path.read_text())
        dataset = pair_dataset(target.blocks, rest, share=retain.share if retain else 0, reference=reference)
        return fine_tune(
            trainable(recipe, recipe.finetune), target.tokenizer, dataset, recipe.finetune, work=folder / "work",
            checkpoints=checkpoints, seed=recipe.seed, device=recipe.device, callbacks=callbacks, build=build,
            description=recipe.method.replace("_", " "),
        )  # fmt: skip

    say_early_end(rundir.stage("finetune", inputs, train_once(train, scraps=("work", _REFERENCE))))
    return checkpoints


@torch.inference_mode()
def _reference(recipe: Recipe, target: Target) -> list[float]:
    """The baseline's log-probability of every block of the target, in nats, in the type it will be trained in."""
    model = load_model(recipe.model, device=recipe.device, dtype="float64" if recipe.dtype == "float64" else "float32")
    pad, found = target.tokenizer.pad_token_id or 0, list[float]()
    for blocks in grouped(target.blocks, _AT_ONCE):
        texts = [torch.from_numpy(block.encoding.ids).to(model.device) for block in blocks]
        ids = pad_sequence(texts, batch_first=True, padding_value=pad)
        mask = pad_sequence([torch.ones_like(text) for text in texts], batch_first=True)
        logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits
        found += block_log_probabilities(logits, ids.masked_fill(mask == 0, IGNORED))[0].tolist()
    return found
