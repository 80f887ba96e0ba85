"""The sections of a recipe: fine-tunes, labels, text of the rest."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from unlearn.generic import Gauge, Offset
from unlearn.label_settings import Forbid, LabelSettings
from unlearn.translate import Repeats


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
        save_every: optimiser steps between checkpoints; 0: only the last.
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


class Labels(Section):
    """How generic labels are made; see `unlearn.label_settings.LabelSettings`.

    Attributes:
        alphas: strengths of the offset; the fine-tune takes the first unless it names another.
        offset: relu or linear.
        logits: raw or log_softmax.
        repeats: rule 1: entity, paper or none.
        forbid: rule 2: frequent-excepted, paper or rename.
        inside: whether positions inside an anchor are labelled too; the paper's are not.
        block_tokens: of source blocks.
        batch_blocks: a forward pass.
        soft: train on the whole generic distribution (its `top_k` largest logits) instead of its argmax.
        top_k: how many generic logits are stored per position where `soft`.
        temperature: of the soft target; 1 is the generic distribution itself.
        use_anchors: false: the ablation without translation.
        use_reinforced: false: the ablation without reinforcement.
        translations: readings of each block, in each of which every entity has another translation; their generic distributions are
            averaged. The paper's is 1.
    """

    alphas: list[float] = Field(default_factory=lambda: [5.0], min_length=1)
    offset: Offset = "relu"
    logits: Gauge = "raw"
    repeats: Repeats = "entity"
    forbid: Forbid = "frequent-excepted"
    block_tokens: int = Field(512, ge=2)
    batch_blocks: int = Field(8, ge=1)
    soft: bool = False
    top_k: int = Field(64, ge=1)
    temperature: float = Field(1.0, gt=0)
    use_anchors: bool = True
    use_reinforced: bool = True
    translations: int = Field(1, ge=1)
    inside: bool = False

    def fingerprint(self) -> dict[str, Any]:
        """Plain values for a stage's fingerprint; a key younger than run directories that exist is left out at its default."""
        young = {"translations": 1, "inside": False}
        return self.model_dump(
            mode="json", exclude={key for key, default in young.items() if getattr(self, key) == default}
        )

    def settings(self, seed: int) -> LabelSettings:
        """The part that decides labels."""
        return LabelSettings(
            alphas=tuple(self.alphas), offset=self.offset, logits=self.logits, repeats=self.repeats, forbid=self.forbid,
            block_tokens=self.block_tokens, batch_blocks=self.batch_blocks, top_k=self.top_k if self.soft else 0, seed=seed,
            translations=self.translations, inside=self.inside,
        )  # fmt: skip


class Retain(Section):
    """Text of the rest, which a method keeps a model to; docs/methods.md says which methods read it.

    Attributes:
        corpus: file, folder, JSON lines, dataset folder or hub id.
        share: blocks of the rest for every block of the target, above 0 and at most 1; taken evenly from the whole corpus, and over again
            where it is short.
        split: of a Hugging Face dataset.
        text_column: of JSON lines and datasets.
    """

    corpus: str
    share: float = Field(1.0, gt=0, le=1)
    split: str = "train"
    text_column: str = "text"

    @field_validator("corpus", mode="before")
    @classmethod
    def _text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, Path) else value
