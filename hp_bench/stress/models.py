"""Makes stressed models: a folder each, so that any engine can load it."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from hp_bench.engines.loader import EngineSettings
from hp_bench.engines.loading import load_model, load_tokenizer, resolve_device
from hp_bench.engines.source import Source
from hp_bench.progress import quiet_transformers
from hp_bench.stress.relearning import Relearning, blocks_of, relearn
from hp_bench.stress.rounding import Rounding, round_weights
from unlearn.files import whole_folder


def make(
    source: Source,
    stress: Rounding | Relearning,
    passages: Sequence[str],
    folder: Path,
    settings: EngineSettings,
) -> dict[str, Any]:
    """Loads a model, stresses it, and saves it with its tokenizer, under a temporary name first.

    Args:
        source: the model; an adapter is merged.
        stress: what to do to it.
        passages: to relearn from.
        folder: where to; what is there is replaced.
        settings: the type to load and save it in (relearning is in float32 whatever it is), the device to relearn on (rounding is done on
            the CPU, where it gives the same bits everywhere), and the tokenizer where the model has none beside it.

    Returns:
        What is worth knowing of it: the `share` of weights rounded, or the `first_loss` and `last_loss`, nats a token.

    Raises:
        ValueError: the model cannot be loaded, is quantised, or does not survive it.
    """
    words, dtype = load_tokenizer(source, settings.tokenizer), settings.dtype
    learning = isinstance(stress, Relearning)
    device = resolve_device(settings.device) if learning else "cpu"
    model = load_model(source, dtype="float32" if learning else dtype, device=device)
    if source.base is not None:
        model = model.merge_and_unload()
    if isinstance(stress, Rounding):
        about = {"share": round_weights(model, stress)}
    else:
        context = getattr(model.config, "max_position_embeddings", None)
        first, last = relearn(model, blocks_of(passages, words, block=stress.block, context=context), stress)
        about = {"first_loss": first, "last_loss": last}
    if learning and dtype != "auto":
        model = model.to(getattr(torch, dtype))
    shutil.rmtree(folder, ignore_errors=True)
    with whole_folder(folder) as part, quiet_transformers():
        model.save_pretrained(part)
        words.save_pretrained(part)
    return about
