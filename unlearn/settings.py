"""The sections of a recipe: fine-tunes, labels, text of the rest."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

Offset = Literal["relu", "linear"]
Gauge = Literal["raw", "log_softmax"]
Repeats = Literal["entity", "paper", "none"]
Forbid = Literal["frequent-excepted", "paper", "rename"]


#: Text, which a path may stand for.
PathText = Annotated[str, BeforeValidator(lambda value: str(value) if isinstance(value, Path) else value)]


class Section(BaseModel):
    """A part of a recipe: an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Lora(Section):
    """Low-rank adapters in place of full fine-tuning (PEFT's names).

    Attributes:
        r: rank.
        alpha: scaling numerator.
        dropout: on the adapters' input, 0 to 1.
        target_modules: which linear layers; "all-linear" for all but the head.
    """

    r: int = Field(16, ge=1)
    alpha: float = 32.0
    dropout: float = Field(0.0, ge=0, lt=1)
    target_modules: str | list[str] = "all-linear"


class Training(Section):
    """One fine-tune, by Hugging Face Trainer.

    Attributes:
        epochs: passes over the blocks.
        max_steps: optimiser steps; ends the run earlier or later than `epochs`; 0: epochs decide.
        learning_rate: peak.
        schedule: `linear` decay to 0, `constant`, `cosine`, ... (transformers' names).
        warmup_steps: optimiser steps.
        batch_size: blocks on each device in a forward pass.
        accumulation: forward passes a device takes for one optimiser step.
        adam_betas: AdamW's.
        weight_decay: AdamW's.
        max_grad_norm: gradients are clipped to this norm.
        save_every: optimiser steps between checkpoints; 0: only the last. What an interrupted run goes on from is kept apart from these.
        holdout: share of blocks kept out of training, on which the loss is reported, 0 to 1.
        lora: adapters; none: all weights are trained.
        bf16: mixed precision.
        gradient_checkpointing: less memory, a third more time.
        extra: further `transformers.TrainingArguments`, as they are (fsdp, report_to, optim, ...).
    """

    epochs: float = Field(2.0, gt=0)
    max_steps: int = Field(0, ge=0)
    learning_rate: float = Field(1e-6, gt=0)
    schedule: str = "linear"
    warmup_steps: int = Field(0, ge=0)
    batch_size: int = Field(8, ge=1)
    accumulation: int = Field(16, ge=1)
    adam_betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = Field(0.0, ge=0)
    max_grad_norm: float = Field(1.0, gt=0)
    save_every: int = Field(20, ge=0)
    holdout: float = Field(0.0, ge=0, lt=1)
    lora: Lora | None = None
    bf16: bool = False
    gradient_checkpointing: bool = False
    extra: dict[str, Any] = Field(default_factory=dict)


#: A label that trains nothing.
IGNORED = -100


def alpha_column(alpha: float) -> str:
    """Name of the label column of a further alpha."""
    return f"labels_alpha_{alpha:g}"


class LabelRules(Section):
    """What decides a label beside the models, the corpus and the anchors; the defaults are the paper's where it speaks.

    Attributes:
        alphas: strengths of the offset, at least one, each >= 0; labels for all of them come from one pass, and the fine-tune takes the
            first unless it names another.
        offset: `relu` (paper) or `linear` (the paper's first version).
        logits: `raw` (paper) or `log_softmax`.
        repeats: rule 1 counts occurrences by `entity`, or by anchor string as in the `paper`; `none`: it ignores nothing.
        forbid: rule 2 excepts the 100 most frequent tokens, or, as in the `paper`, none; `rename`: what the baseline says of a
            translation is said of the anchor instead.
        inside: whether positions inside an anchor are labelled too; the paper's are not.
        forbid_names: whether a label may not begin or go on a name of the target that its block has not held yet; the paper's may.
        block_tokens: longest source block, in tokens, special tokens included.
        batch_blocks: blocks a forward pass; it decides labels too, because float sums depend on it.
        translations: readings of each block, in each of which every entity has another translation; their generic distributions are
            averaged. The paper's is 1.
    """

    alphas: tuple[float, ...] = Field((5.0,), min_length=1)
    offset: Offset = "relu"
    logits: Gauge = "raw"
    repeats: Repeats = "entity"
    forbid: Forbid = "frequent-excepted"
    inside: bool = False
    forbid_names: bool = False
    block_tokens: int = Field(512, ge=2)
    batch_blocks: int = Field(8, ge=1)
    translations: int = Field(1, ge=1)

    @field_validator("alphas")
    @classmethod
    def _distinct(cls, alphas: tuple[float, ...]) -> tuple[float, ...]:
        if any(not alpha >= 0 for alpha in alphas):
            raise ValueError(f"alphas={list(alphas)}: each must be >= 0")
        if len({alpha_column(alpha) for alpha in alphas}) < len(alphas):
            raise ValueError(f"alphas={list(alphas)}: two of them would share the column {alpha_column(alphas[0])!r}")
        return alphas


class LabelSettings(LabelRules):
    """The rules, and what a labeller needs beside them.

    Attributes:
        top_k: soft labels: how many of the largest generic logits to keep per position; 0 for none.
        seed: of the translations' draw.
    """

    top_k: int = Field(0, ge=0)
    seed: int = 0


class Labels(LabelRules):
    """The rules, and a recipe's choices beside them.

    Attributes:
        soft: train on the whole generic distribution (its `top_k` largest logits) instead of its argmax.
        top_k: how many generic logits are stored per position where `soft`.
        temperature: of the soft target; 1 is the generic distribution itself.
        use_anchors: false: the ablation without translation.
        use_reinforced: false: the ablation without reinforcement.
    """

    soft: bool = False
    top_k: int = Field(64, ge=1)
    temperature: float = Field(1.0, gt=0)
    use_anchors: bool = True
    use_reinforced: bool = True

    def settings(self, seed: int) -> LabelSettings:
        """What the labeller needs."""
        rules = {name: getattr(self, name) for name in LabelRules.model_fields}
        return LabelSettings(**rules, top_k=self.top_k if self.soft else 0, seed=seed)


class Retain(Section):
    """Text of the rest, which a method keeps a model to; docs/methods.md says which methods read it.

    Attributes:
        corpus: file, folder, JSON lines, dataset folder or hub id.
        share: blocks of the rest for every block of the target, above 0 and at most 1; taken evenly from the whole corpus, and over again
            where it is short.
        split: of a Hugging Face dataset.
        text_column: of JSON lines and datasets.
    """

    corpus: PathText
    share: float = Field(1.0, gt=0, le=1)
    split: str = "train"
    text_column: str = "text"
