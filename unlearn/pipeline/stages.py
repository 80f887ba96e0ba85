"""The stages of a recipe: each takes the recipe and what earlier stages left, and leaves a finished folder in the run directory."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset, concatenate_datasets, load_from_disk
from transformers import PreTrainedTokenizerBase

from unlearn.anchors.dictionary import AnchorDictionary
from unlearn.corpus.blocks import Blocks
from unlearn.corpus.corpus import Corpus
from unlearn.files import json_text, model_fingerprint
from unlearn.labels.dataset import make_labels
from unlearn.models import load_model, load_models, load_tokenizer, processes, require_whole
from unlearn.pipeline.rundir import FINGERPRINT, RECORD, RunDirectory
from unlearn.recipe import Recipe, Training
from unlearn.training.fine_tune import Trained, fine_tune, label_columns, say_early_end, train_once
from unlearn.training.pairs import rest_text, retain_count

#: Where a run keeps the blocks of its target and of the rest.
_BLOCKS = "blocks"


@dataclass(frozen=True)
class Target:
    """What is to be unlearned, as a recipe names it; the dictionary is empty where the recipe does without."""

    corpus: Corpus
    blocks: Blocks
    anchors: AnchorDictionary
    tokenizer: PreTrainedTokenizerBase

    @classmethod
    def open(cls, recipe: Recipe, *, keep: bool = False) -> "Target":
        """Loads and checks corpus, anchors and tokenizer.

        `keep`: whether blocks stay in the run directory, and are read from there where they are; else they pass.

        Raises ValueError: one is missing, the corpus is empty or holds no anchor, or the run directory is not to be written to.
        """
        tokenizer = load_tokenizer(recipe.model)
        corpus = Corpus(recipe.corpus, split=recipe.split, column=recipe.text_column)
        anchors = AnchorDictionary.load(recipe.anchors) if recipe.translates else AnchorDictionary(())
        corpus.require_text()
        if recipe.retain is not None:
            rest_text(recipe.retain).require_text()
            ours, rest = ((Path(one.corpus).resolve(), one.split, one.text_column) for one in (recipe, recipe.retain))
            if ours == rest:
                raise ValueError(
                    f"retain.corpus {recipe.retain.corpus!r} is the text that is to be unlearned: name another one"
                )
        if recipe.translates and not any(anchors.find(document.text) for document in corpus):
            raise ValueError(
                f"corpus {recipe.corpus!r} holds none of the {len(anchors.anchors)} anchors of {recipe.anchors!r}"
            )
        if keep:
            _require_ours(recipe)
            RunDirectory(recipe.out)
        folder = Path(recipe.out) / _BLOCKS if keep else None
        return cls(corpus, Blocks.open(corpus, tokenizer, recipe.labels.block_tokens, folder), anchors, tokenizer)

    def rest(self, recipe: Recipe) -> Blocks | None:
        """The blocks of the text of the rest, kept in the run directory; None where the recipe has no such text.

        Raises ValueError: it is missing or holds no text.
        """
        if recipe.retain is None:
            return None
        folder = Path(recipe.out) / _BLOCKS
        return Blocks.open(rest_text(recipe.retain), self.tokenizer, recipe.labels.block_tokens, folder)


def open_run(recipe: Recipe) -> tuple[Target, RunDirectory]:
    """What a recipe names, and its run directory, with the resolved recipe and a copy of the anchors in it.

    Step 0, the baseline, is referred to, not copied.

    Raises ValueError: something that the recipe names is missing or does not fit; the directory cannot be made, or holds a
    `recipe.yaml` or `anchors.jsonl` that no run has written.
    """
    target, rundir = Target.open(recipe, keep=True), RunDirectory(recipe.out)
    processes().wait_for_everyone()
    record = {"baseline": recipe.model, "baseline_fingerprint": model_fingerprint(recipe.model)}
    texts = {RECORD: json_text(record), "recipe.yaml": recipe.to_yaml(), "anchors.jsonl": target.anchors.to_jsonl()}
    for name in (RECORD, *_written_files(recipe)):
        rundir.write(name, texts[name])
    processes().wait_for_everyone()
    return target, rundir


def _written_files(recipe: Recipe) -> list[str]:
    anchors = Path(recipe.out) / "anchors.jsonl"
    copied = recipe.translates and anchors.resolve() != Path(recipe.anchors).resolve()
    return ["recipe.yaml", *([anchors.name] if copied else [])]


def _require_ours(recipe: Recipe) -> None:
    """Raises ValueError if the run would write over a file of the user's."""
    for path in (Path(recipe.out) / name for name in _written_files(recipe)):
        if path.exists() and not path.with_name(RECORD).exists():
            raise ValueError(
                f"{str(path)!r} is not of a run, and a run writes a file of that name: choose another out, or move it away"
            )
    processes().wait_for_everyone()


def reinforce(recipe: Recipe, target: Target, rundir: RunDirectory, *, name: str = "reinforced") -> Path:
    """The reinforced model, the baseline fine-tuned on the target: `reinforced/`, a model or adapter with its tokenizer."""
    inputs = {
        "baseline": model_fingerprint(recipe.model), "corpus": target.blocks.corpus_fingerprint, "block_tokens": recipe.labels.block_tokens,
        "training": recipe.reinforce.model_dump(mode="json"), "seed": recipe.seed,
    }  # fmt: skip

    def train(folder: Path) -> Trained:
        return fine_tune(
            trainable(recipe, recipe.reinforce), target.tokenizer, target.blocks.for_training(), recipe.reinforce, work=folder / "work",
            checkpoints=folder / "checkpoints", seed=recipe.seed, device=recipe.device, description="reinforcing",
        )  # fmt: skip

    return rundir.stage(name, inputs, train_once(train, scraps=("checkpoints", "work")))


def label(
    recipe: Recipe, target: Target, rundir: RunDirectory, reinforced: Path | None, *, name: str = "labels"
) -> Path:
    """Generic labels for every block of the target: `labels/`, a Hugging Face dataset.

    `reinforced`: folder of the reinforced model; None for the ablation without it.
    """
    settings = recipe.labels.settings(recipe.seed)
    inputs = {
        "baseline": model_fingerprint(recipe.model), "reinforced": model_fingerprint(reinforced) if reinforced else "",
        "corpus": target.blocks.corpus_fingerprint, "anchors": len(target.anchors.anchors),
        "anchors_sha256": _digest(target.anchors.to_jsonl()),
        "labels": recipe.labels.model_dump(mode="json"), "dtype": recipe.dtype, "seed": recipe.seed,
    }  # fmt: skip

    def make(folder: Path) -> None:
        make_labels(
            *load_models(recipe.model, reinforced, device=recipe.device, dtype=recipe.dtype), target.tokenizer, target.blocks,
            target.anchors, settings, out=folder, fingerprint=_digest(json.dumps(inputs, sort_keys=True)),
        )  # fmt: skip

    return rundir.stage(name, inputs, make)


def rest_labels(recipe: Recipe, target: Target, rundir: RunDirectory) -> tuple[Dataset, dict[str, Any]] | None:
    """The rest's share of a fine-tune on generic labels, made once: rows as it reads them, and plain values for its fingerprint.

    A soft run learns what the baseline says there; a hard one the text's own next tokens: the baseline's likeliest token would make it
    surer of itself than any text is. None where the recipe has no text of the rest; raises ValueError as `Target.rest`.
    """
    text, labels = target.rest(recipe), recipe.labels
    if text is None or recipe.retain is None:
        return None
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


def finetune(
    recipe: Recipe, tokenizer: PreTrainedTokenizerBase, rundir: RunDirectory, labels: Path, *, column: str = "labels",
    rest: tuple[Dataset, dict[str, Any]] | None = None, callbacks: Sequence[Any] = (),
) -> Path:  # fmt: skip
    """The baseline fine-tuned on the generic labels: `checkpoints/`, with a folder `checkpoint-<optimiser steps>` each.

    `labels`: from `label`; `column`: of them, a further alpha's is `labels_alpha_2.5`; `rest`: from `rest_labels`.
    """
    soft = recipe.labels.soft
    made_from = labels / FINGERPRINT
    inputs = {
        "baseline": model_fingerprint(recipe.model), "column": column,
        "labels": json.loads(made_from.read_text()) if made_from.exists() else _digest((labels / "state.json").read_text()),
        "training": recipe.finetune.model_dump(mode="json"), "temperature": recipe.labels.temperature if soft else None,
        "seed": recipe.seed, **({"retain": rest[1]} if rest else {}),
    }  # fmt: skip
    checkpoints = rundir.claim("checkpoints", inputs)

    def train(folder: Path) -> Trained:
        dataset = label_columns(load_from_disk(str(labels)), column, soft=soft)
        if rest:
            dataset = concatenate_datasets([dataset, rest[0]])
        return fine_tune(
            trainable(recipe, recipe.finetune), tokenizer, dataset, recipe.finetune, work=folder / "work",
            checkpoints=checkpoints, seed=recipe.seed, device=recipe.device, callbacks=callbacks,
            temperature=recipe.labels.temperature if soft else None, description="fine-tuning",
        )  # fmt: skip

    say_early_end(rundir.stage("finetune", inputs, train_once(train, scraps=("work",))))
    return checkpoints


def trainable(recipe: Recipe, training: Training) -> Any:
    """The baseline to be trained, in float32 where all its weights are trained; on the CPU, from where Trainer places it.

    Raises ValueError: it is not there, or is an adapter.
    """
    require_whole(recipe.model)
    dtype = recipe.dtype if training.lora is not None else ("float64" if recipe.dtype == "float64" else "float32")
    return load_model(recipe.model, device="cpu", dtype=dtype)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
