"""Hugging Face transformers as an engine."""

import gc
from pathlib import Path
from typing import Any

import torch
from lm_eval.models.huggingface import HFLM
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from hp_bench.engines.compatible import same_architecture, same_tokenizer


class HFEngine:
    """A causal language model in this process.

    Args:
        model: folder, hub id, or a live model object.
        tokenizer: where the model has none beside it, or an object for a live model.
        revision: of a hub id.
        device: cpu, cuda, mps or auto.
        dtype: float32, bfloat16, ... or auto (what the checkpoint says).
        batch_size: prompts at a time. lm-eval's own default of 1 is 14 times slower.

    Raises:
        ValueError: the tokenizer ends every text with a special token.
    """

    name = "hf"

    def __init__(
        self,
        model: str | Path | PreTrainedModel,
        *,
        tokenizer: Any = None,
        revision: str = "main",
        device: str = "auto",
        dtype: str = "auto",
        batch_size: int = 64,
    ) -> None:
        options: dict[str, Any] = {"batch_size": batch_size, "tokenizer": tokenizer}
        if isinstance(model, PreTrainedModel):
            self.model = model.config._name_or_path or type(model).__name__
            self.lm = HFLM(pretrained=model, **options)
        else:
            self.model = str(model)
            self.lm = HFLM(
                pretrained=str(model), revision=revision, device=resolve_device(device), dtype=dtype, **options
            )
        self.dtype = str(next(self.lm.model.parameters()).dtype).removeprefix("torch.")
        _require_open_end(self.lm.tokenizer, self.model)

    def swap(self, checkpoint: Path | str) -> None:
        """Loads another checkpoint's weights into the same module; identical to a fresh load."""
        checkpoint = str(checkpoint)
        same_architecture(self.lm.model.config, AutoConfig.from_pretrained(checkpoint), checkpoint)
        same_tokenizer(self.lm.tokenizer, checkpoint)
        fresh = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=getattr(torch, self.dtype))
        result = self.lm.model.load_state_dict(fresh.state_dict(), strict=False)
        if result.missing_keys or result.unexpected_keys:
            raise ValueError(
                f"checkpoint {checkpoint!r} does not fit: missing {result.missing_keys}, unexpected {result.unexpected_keys}"
            )
        self.lm.model.tie_weights()
        self.model = checkpoint
        del fresh
        gc.collect()


def _require_open_end(tokenizer: Any, model: str) -> None:
    """Raises ValueError if the tokenizer ends a text with a special token: after it nothing is continued, and no next word is measured."""
    ids = tokenizer("a")["input_ids"]
    if ids and ids[-1] in tokenizer.all_special_ids:
        raise ValueError(
            f"the tokenizer of {model!r} ends every text with {tokenizer.convert_ids_to_tokens(ids[-1])!r}, so the model cannot "
            "continue a prompt; save it with add_eos_token=False, or without that token in its post-processor"
        )


def resolve_device(device: str) -> str:
    """`auto` -> cuda, mps or cpu, whichever is there."""
    if device != "auto":
        return device
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
