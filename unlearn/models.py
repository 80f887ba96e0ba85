"""Loading models and tokenizers, with the mistakes of a user named; and the processes that share a run."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

from unlearn.cpu import quicken
from unlearn.exits import first_line
from unlearn.files import find_model

#: How long processes wait for one that works alone, such as the one that reads the target for NPO's reference.
#: NCCL's own limit is 10 minutes.
_LONGEST = timedelta(hours=12)


def load_tokenizer(name: str | Path) -> PreTrainedTokenizerBase:
    """A fast tokenizer. Raises ValueError: there is none, or it gives no character offsets."""
    name = find_model(name)
    try:
        tokenizer = AutoTokenizer.from_pretrained(name)
    except Exception as error:
        raise ValueError(f"no tokenizer could be loaded from {name!r}: {first_line(error)}") from None
    if not tokenizer.is_fast:
        kind = type(tokenizer).__name__
        raise ValueError(f"tokenizer {kind} gives no character offsets; a fast tokenizer (tokenizer.json) is needed")
    return tokenizer


def load_model(name: str | Path, *, device: str = "auto", dtype: str = "auto") -> Any:
    """A causal language model in evaluation mode: folder, hub id, or the folder of an unmerged PEFT adapter.

    Args:
        device: cpu, cuda, mps, `auto` (the best there is), or `split` (layers over all GPUs).
        dtype: float32, bfloat16, float16, float64, or `auto` (what the checkpoint says).

    Raises ValueError: the model is not there or cannot be read.
    """
    name = find_model(name)
    kind: Any = "auto" if dtype == "auto" else getattr(torch, dtype, None)
    if kind is None:
        raise ValueError(f"dtype {dtype!r} is unknown; allowed: auto, float32, bfloat16, float16, float64")
    options: dict[str, Any] = {"device_map": "auto"} if device == "split" else {}
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(name, dtype=kind, **options)
    except Exception as error:  # checks of configs have errors of their own
        raise ValueError(f"no causal language model could be loaded from {name!r}: {first_line(error)}") from None
    if device != "split":
        model = model.to(processes().device if device == "auto" else device)
    return quicken(model.eval())


def load_models(first: str | Path, second: str | Path | None, **where: str) -> tuple[Any, Any]:
    """Two models whose logits are subtracted, or one and None, as `load_model`; with `auto` both in the wider of their types.

    A baseline in bfloat16 beside a reinforced model in float32 would differ from it by its rounding, times alpha. Widening is exact.
    """
    one, other = load_model(first, **where), load_model(second, **where) if second is not None else None
    if other is not None and one.dtype != other.dtype:
        wide = torch.promote_types(one.dtype, other.dtype)
        one, other = one.to(wide), other.to(wide)
    return one, other


def require_whole(name: str | Path) -> None:
    """Raises ValueError if a model to be trained is the folder of an adapter: new weights would be trained on the model under it."""
    if (Path(name) / "adapter_config.json").exists():
        raise ValueError(
            f"model {str(name)!r} is an adapter, and unlearning trains whole models or adapters of its own: merge it into its model "
            "first (PEFT: merge_and_unload, save_pretrained)"
        )


def same_vocabulary(baseline: Any, reinforced: Any) -> None:
    """Raises ValueError if two models' outputs are over vocabularies of different sizes."""
    ours, theirs = (model.get_output_embeddings().weight.shape[0] for model in (baseline, reinforced))
    if ours != theirs:
        raise ValueError(f"the models' vocabularies do not match: baseline {ours} tokens, reinforced {theirs}")


def processes() -> PartialState:
    """Accelerate's view of them. Without an accelerator it must be told to use the CPU, or every process thinks it is alone."""
    told = os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true", "yes")
    return PartialState(cpu=told or not torch.accelerator.is_available(), timeout=_LONGEST)
