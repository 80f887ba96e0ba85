"""Loads a model by transformers, and refuses what transformers would fill up with random numbers."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from hp_bench.engines.compatible import first_line
from hp_bench.engines.source import Source
from hp_bench.engines.weights import require_finite, require_whole

_DTYPES = ("auto", "float32", "bfloat16", "float16", "float64")


def load_model(source: Source, *, dtype: str = "auto", device: str = "cpu") -> Any:
    """A causal language model in evaluation mode, adapter unmerged, quantised as its config says.

    Args:
        source: where from.
        dtype: auto means what the checkpoint says.
        device: cpu, cuda, cuda:1, mps.

    Raises:
        ValueError: it cannot be loaded, weights are missing, or some are no numbers; one sentence.
    """
    if dtype not in _DTYPES:
        raise ValueError(f"dtype {dtype!r} is unknown; allowed: {', '.join(_DTYPES)}")
    require_whole(source)
    if source.base is not None:
        return attach(load_model(source.base, dtype=dtype, device=device), source)
    kind: Any = "auto" if dtype == "auto" else getattr(torch, dtype)
    options: dict[str, Any] = {"dtype": kind, "device_map": {"": device}, "output_loading_info": True, **source.options}
    try:
        with _silent_transformers():
            loaded: Any = AutoModelForCausalLM.from_pretrained(source.path, **options)
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise ValueError(
            f"no causal language model could be loaded from {source.name!r}: {first_line(error)}"
        ) from None
    model, report = loaded
    if report["missing_keys"]:
        missing = sorted(report["missing_keys"])
        raise ValueError(f"{source.name!r} lacks {len(missing)} of its weights: {', '.join(missing[:3])}")
    require_finite(model.named_parameters(), source.name)
    return model.eval()


def attach(model: Any, source: Source) -> Any:
    """The model with an adapter on it, unmerged.

    Raises:
        ValueError: the adapter does not fit, is incomplete, or is broken; the model is then as it was.
    """
    from peft import PeftModel

    require_whole(source)
    if Path(source.path).is_dir():
        from hp_bench.engines.weights import tensors_of

        require_finite(tensors_of(Path(source.path)), source.name)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            adapted = PeftModel.from_pretrained(model, source.path, **source.options)
        except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
            detach_from(model)
            raise ValueError(
                f"adapter {source.name!r} does not fit its base: {' '.join(str(error).split())[:300]}"
            ) from None
    lacking = [str(warning.message) for warning in said if "missing adapter keys" in str(warning.message)]
    if lacking:
        detach(adapted)
        raise ValueError(f"adapter {source.name!r} lacks some of its weights: {lacking[0][:200]}")
    return adapted.eval()


def detach(adapted: Any) -> Any:
    """The model under an adapter, its modules as they were; nothing is merged."""
    return adapted.unload() if hasattr(adapted.base_model, "unload") else adapted.get_base_model()


def detach_from(model: Any) -> None:
    """Takes out of a model what a failed attempt to attach an adapter has put in."""
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils.other import AuxiliaryTrainingWrapper

    for name, module in list(model.named_modules()):
        if isinstance(module, BaseTunerLayer | AuxiliaryTrainingWrapper):
            parent = model.get_submodule(name.rpartition(".")[0])
            original = module.get_base_layer() if isinstance(module, BaseTunerLayer) else module.original_module
            setattr(parent, name.rpartition(".")[2], original)
    if hasattr(model, "peft_config"):
        del model.peft_config


@contextmanager
def _silent_transformers() -> Iterator[None]:
    """No bar and no table of missing weights: what is wrong is said in one sentence."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def log_likelihoods(model: Any, ids: list[int]) -> list[float]:
    """Log-likelihood of every token of a text but the first, nats."""
    with torch.inference_mode():
        logits = model(torch.tensor([ids], device=model.device)).logits[0].float().log_softmax(-1)
    return [float(logits[position, token]) for position, token in enumerate(ids[1:])]


def resolve_device(device: str) -> str:
    """`auto` -> cuda, mps or cpu, whichever is there.

    Raises:
        ValueError: the device is unknown to torch.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device {device!r} cannot be used here: {first_line(error)}") from None
    return device
