"""Makes stressed models: a folder each, so that any engine can load it."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from hp_bench.engines.loading import load_model, load_tokenizer, resolve_device
from hp_bench.engines.source import Source
from hp_bench.stress.relearning import Relearning, blocks_of, relearn
from hp_bench.stress.rounding import Rounding, round_weights


def make(
    source: Source,
    stress: Rounding | Relearning,
    passages: Sequence[str],
    folder: Path,
    *,
    dtype: str,
    device: str,
    tokenizer: str | None = None,
) -> dict[str, Any]:
    """Loads a model, stresses it, and saves it with its tokenizer, under a temporary name first.

    Args:
        source: the model; an adapter is merged.
        stress: what to do to it.
        passages: to relearn from.
        folder: where to; what is there is replaced.
        dtype: to load and save it in; relearning is in float32 whatever it is.
        device: to relearn on; rounding is done on the CPU, where it gives the same bits everywhere.
        tokenizer: where the model has none beside it.

    Returns:
        What is worth knowing of it: the `share` of weights rounded, or the `first_loss` and `last_loss`, nats a token.

    Raises:
        ValueError: the model cannot be loaded, is quantised, or does not survive it.
    """
    words = load_tokenizer(source, tokenizer)
    learning = isinstance(stress, Relearning)
    model = load_model(
        source, dtype="float32" if learning else dtype, device=resolve_device(device) if learning else "cpu"
    )
    if source.base is not None:
        model = model.merge_and_unload()
    about = _stressed(model, words, stress, passages)
    if learning and dtype != "auto":
        model = model.to(getattr(torch, dtype))
    part = folder.with_name(folder.name + ".part")
    for place in (part, folder):
        shutil.rmtree(place, ignore_errors=True)
    with _without_bars():
        model.save_pretrained(part)
        words.save_pretrained(part)
    part.rename(folder)
    return about


def _stressed(model: Any, tokenizer: Any, stress: Rounding | Relearning, passages: Sequence[str]) -> dict[str, Any]:
    if isinstance(stress, Rounding):
        return {"share": round_weights(model, stress)}
    context = getattr(model.config, "max_position_embeddings", None)
    first, last = relearn(model, blocks_of(passages, tokenizer, block=stress.block, context=context), stress)
    return {"first_loss": first, "last_loss": last}


@contextmanager
def _without_bars() -> Iterator[None]:
    """Transformers' bars would fight with ours."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
