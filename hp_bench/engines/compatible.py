"""May these weights replace those? Checked before a swap, with the difference named."""

from typing import Any

from transformers import AutoTokenizer

#: Settings of a model's config that do not touch what its weights compute.
_HARMLESS = {"_name_or_path", "transformers_version", "dtype", "torch_dtype", "use_cache", "architectures"}


def same_architecture(loaded: Any, other: Any, checkpoint: str) -> None:
    """Raises ValueError naming the settings in which two model configs differ."""
    ours, theirs = loaded.to_dict(), other.to_dict()
    different = [key for key in sorted({*ours, *theirs} - _HARMLESS) if ours.get(key) != theirs.get(key)]
    if different:
        what = "; ".join(f"{key}: {ours.get(key)!r} against {theirs.get(key)!r}" for key in different[:5])
        raise ValueError(f"checkpoint {checkpoint!r} is of another architecture than the model loaded ({what})")


def same_tokenizer(loaded: Any, checkpoint: str) -> None:
    """Raises ValueError if a checkpoint's own tokenizer differs; a checkpoint without one is taken to share the model's."""
    try:
        other = AutoTokenizer.from_pretrained(checkpoint)
    except (OSError, ValueError):
        return
    if loaded.get_vocab() != other.get_vocab():
        raise ValueError(
            f"checkpoint {checkpoint!r} has another tokenizer ({len(other)} tokens) than the model loaded ({len(loaded)} tokens)"
        )
