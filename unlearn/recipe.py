"""A recipe: everything that decides a run, as a YAML file; `key=value` overrides it; an unknown key is an error."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from unlearn.generic import Gauge, Offset
from unlearn.label_settings import Forbid, LabelSettings
from unlearn.translate import Repeats


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Lora(_Section):
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


class Training(_Section):
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


class Labels(_Section):
    """How generic labels are made; see `unlearn.label_settings.LabelSettings`.

    Attributes:
        alphas: strengths of the offset; the fine-tune takes the first unless it names another.
        offset: relu or linear.
        logits: raw or log_softmax.
        repeats: rule 1.
        forbid: rule 2.
        block_tokens: of source blocks.
        batch_blocks: a forward pass.
        soft: train on the whole generic distribution (its `top_k` largest logits) instead of its argmax.
        top_k: how many generic logits are stored per position where `soft`.
        temperature: of the soft target; 1 is the generic distribution itself.
        use_anchors: false: the ablation without translation.
        use_reinforced: false: the ablation without reinforcement.
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

    def settings(self, seed: int) -> LabelSettings:
        """The part that decides labels."""
        return LabelSettings(
            alphas=tuple(self.alphas), offset=self.offset, logits=self.logits, repeats=self.repeats, forbid=self.forbid,
            block_tokens=self.block_tokens, batch_blocks=self.batch_blocks, top_k=self.top_k if self.soft else 0, seed=seed,
        )  # fmt: skip


class Recipe(_Section):
    """A run of the whole method.

    Attributes:
        model: the baseline: folder or hub id.
        corpus: the unlearn target: file, folder, JSON lines, dataset folder or hub id.
        anchors: the dictionary.
        out: run directory.
        seed: of everything.
        device: auto, cpu, cuda, mps, split (a large model's layers over several GPUs while labelling).
        dtype: of the weights: auto, float32, bfloat16, ...
        split: of a Hugging Face dataset.
        text_column: of JSON lines and datasets.
        reinforce: the fine-tune on the target.
        labels: generic labels.
        finetune: the fine-tune on the labels.
    """

    model: str
    corpus: str
    anchors: str
    out: str
    seed: int = 0
    device: Literal["auto", "cpu", "cuda", "mps", "split"] = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16", "float64"] = "auto"
    split: str = "train"
    text_column: str = "text"
    reinforce: Training = Field(default_factory=lambda: Training(epochs=3, learning_rate=3e-6, save_every=0))
    labels: Labels = Field(default_factory=Labels)
    finetune: Training = Field(default_factory=Training)

    @field_validator("model", "corpus", "anchors", "out", mode="before")
    @classmethod
    def _text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, Path) else value

    @classmethod
    def load(cls, path: Path | str, overrides: Sequence[str] = ()) -> "Recipe":
        """Reads a YAML recipe; `key=value` (dotted keys, YAML values) overrides it.

        Raises:
            ValueError: the file is missing or no mapping, a key is unknown, or a value is not allowed; the message names it.
        """
        path = Path(path)
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ValueError(f"recipe {str(path)!r} cannot be read: {error.strerror}") from None
        except yaml.YAMLError as error:
            raise ValueError(f"recipe {str(path)!r} is not YAML: {error}") from None
        if not isinstance(content, dict):
            raise ValueError(f"recipe {str(path)!r} must be a mapping of keys to values")
        for change in overrides:
            override(content, change)
        return cls.build(content, where=f"recipe {str(path)!r}")

    @classmethod
    def build(cls, content: dict[str, Any], *, where: str = "recipe") -> "Recipe":
        """A recipe from plain values; raises ValueError as `load` does."""
        try:
            return cls(**content)
        except ValidationError as error:
            raise ValueError(f"{where}: {_first_error(error, cls)}") from None

    def to_yaml(self) -> str:
        """The resolved recipe."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def override(content: dict[str, Any], change: str) -> None:
    """Applies `key=value` to a recipe's plain values, in place; the key is dotted, the value is YAML."""
    key, separator, value = change.partition("=")
    if not separator or not key:
        raise ValueError(f"{change!r} is not of the form key=value (for example finetune.learning_rate=1e-5)")
    place = content
    *parents, last = key.split(".")
    for parent in parents:
        if place.get(parent) is None:
            place[parent] = {}
        if not isinstance(place[parent], dict):
            raise ValueError(f"{change!r}: {parent!r} is a value, not a section")
        place = place[parent]
    place[last] = _value(value)


def _value(text: str) -> Any:
    """YAML, but 1e-5 is a number (YAML 1.1 wants 1.0e-5)."""
    try:
        return float(text) if "e" in text.lower() and not text.isalpha() else yaml.safe_load(text)
    except ValueError:
        return yaml.safe_load(text)


def _first_error(error: ValidationError, recipe: type[BaseModel]) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        section: Any = recipe
        for part in first["loc"][:-1]:
            section = _section(section.model_fields[str(part)].annotation)
        return f"unknown key {key!r}; allowed there: {', '.join(section.model_fields)}"
    if first["type"] == "missing":
        return f"key {key!r} is missing"
    return f"{key}={first['input']!r}: {first['msg']}"


def _section(annotation: Any) -> Any:
    return next((a for a in getattr(annotation, "__args__", (annotation,)) if hasattr(a, "model_fields")), annotation)
